from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from edgecnn.fixedpoint import multiply_by_quantized_multiplier, quantize_multiplier
from edgecnn.fixedpoint16 import (
    saturate_int16,
    series_sigmoid,
    series_tanh,
    table_sigmoid,
    table_tanh,
)
from edgecnn.ir import Array
from edgecnn.operators import Dialect
from edgecnn.ops import lstm
from edgecnn.ops.lstm import LstmAttributes
from edgecnn.parity import random_feeds
from tests.ops.case_table import (
    Case,
    Constant,
    Rng,
    Value,
    build,
    check,
    draw,
    draw_scale,
    draw_weights,
    draw_zero_point,
    problem,
    random_cases,
    run,
)


def layer(
    rng: Rng,
    name: str,
    x: Value,
    units: int,
    attributes: LstmAttributes,
    *,
    spread: float = 1.0,
    output: tuple[float, int] = (1 / 128, 0),
) -> Case:
    """A layer whose gates' sums are of about the magnitude ``spread``."""
    depth = x.shape[2]
    base = spread / (70 * 70 * np.sqrt(depth) * x.scale)
    scales = tuple(float(np.float32(base * 2.0**e)) for e in rng.uniform(-1, 1, 4))
    recurrent_base = spread / (70 * 70 * np.sqrt(units) * output[0])
    recurrent_scales = tuple(recurrent_base * 2.0**e for e in rng.uniform(-1, 1, 4))
    steps = int(rng.choice([10, 4000, 70 * 70 * depth]))
    inputs: list[Value | Constant | None] = [
        x,
        Constant(draw_weights(rng, (4, units, depth)), scales, axis=0),
        Constant(draw_weights(rng, (4, units, units)), recurrent_scales, axis=0),
        Constant(
            rng.integers(-steps, steps + 1, (4, units)).astype(np.int32),
            tuple(x.scale * s for s in scales),
            axis=0,
        ),
    ]
    return Case(name, "lstm", inputs, attributes, output)


def simple(name: str, shape: tuple[int, int, int], units: int, **changes: object) -> Case:
    rng = np.random.default_rng(sum(name.encode()))
    attributes = LstmAttributes(cell_scale_power=-13)
    attributes = dataclasses.replace(attributes, **changes)  # type: ignore[arg-type]
    return layer(rng, name, Value(shape, 0.02, 3), units, attributes)


CASES = [
    simple("plain", (1, 5, 7), 6),
    simple("one-step", (1, 1, 4), 3),
    simple("one-unit", (1, 4, 1), 1),
    simple("time-major", (5, 1, 7), 6, time_major=True),
    simple("time-major-one-step", (1, 1, 7), 6, time_major=True),
    simple("time-major-batches", (5, 3, 7), 6, time_major=True),
    simple("batches", (3, 5, 7), 6),
    simple("clipped", (1, 8, 7), 6, cell_clip=0.25),
    simple("clipped-to-nothing", (1, 8, 7), 6, cell_clip=2.0**-20),
    simple("clip-beyond-the-range", (1, 8, 7), 6, cell_clip=100.0),
    simple("hidden-intermediate", (1, 8, 7), 6, hidden_intermediate=(0.01171875, -9)),
    *(
        simple(f"cell-scale{power}", (1, 12, 7), 6, cell_scale_power=power)
        for power in range(-15, -8)
    ),
    # Written with a STRIDED_SLICE behind the LSTM.
    simple("last-step", (1, 8, 7), 6, sequence=False),
    simple("last-step-time-major", (8, 2, 7), 6, sequence=False, time_major=True),
]


def random_layer(rng: Rng, name: str) -> Case:
    steps, depth = int(rng.integers(1, 13)), int(rng.integers(1, 20))
    time_major = bool(rng.random() < 0.3)
    batch = draw(rng, (1, 1, 1, 2, 3))
    shape = (steps, batch, depth) if time_major else (batch, steps, depth)
    attributes = LstmAttributes(
        time_major=time_major,
        sequence=bool(rng.random() < 0.8),
        cell_clip=draw(rng, (0.0, 0.0, 0.5, 3.0)),
        cell_scale_power=int(rng.integers(-15, -8)),
    )
    output = (float(2.0 ** rng.uniform(-9, -5)), draw_zero_point(rng))
    x = Value(shape, draw_scale(rng), draw_zero_point(rng))
    spread = float(draw(rng, (0.1, 1.0, 1.0, 4.0, 30.0)))
    units = int(rng.integers(1, 13))
    return layer(rng, name, x, units, attributes, spread=spread, output=output)


def test_cases(tmp_path: Path) -> None:
    check(CASES, tmp_path, samples=20)


def test_random(tmp_path: Path) -> None:
    check(random_cases(random_layer, 48, 1), tmp_path, samples=8)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 7))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check(random_cases(random_layer, 48, seed), tmp_path, samples=20, seed=seed)


@pytest.mark.parametrize("sigmoid", [table_sigmoid, series_sigmoid])
def test_sigmoid_of_every_int16(sigmoid: object) -> None:
    x = np.arange(-(1 << 15), 1 << 15)
    exact = 1 / (1 + np.exp(-x / 4096))
    assert callable(sigmoid)
    assert np.abs(sigmoid(x) / 32768 - exact).max() < 5e-4


@pytest.mark.parametrize("tanh", [table_tanh, series_tanh])
@pytest.mark.parametrize("bits", range(7))
def test_tanh_of_every_int16(tanh: object, bits: int) -> None:
    x = np.arange(-(1 << 15), 1 << 15)
    assert callable(tanh)
    assert np.abs(tanh(x, bits) / 32768 - np.tanh(x * 2.0 ** (bits - 15))).max() < 2e-3


def _where_scales_show(real: float, single: float) -> Array:
    """Sums of an output gate that multipliers of both precisions bring to other results."""
    halves = np.arange(-32000, -19000) + 0.5
    sums = np.round(halves[:, None] / real + np.arange(-6, 7)).astype(np.int64).reshape(-1)
    sums = sums[np.abs(sums) < 2**31]
    exact, other = (
        saturate_int16(multiply_by_quantized_multiplier(sums, *quantize_multiplier(multiplier)))
        for multiplier in (real, single)
    )
    shown = [
        sums[sigmoid(exact) != sigmoid(other)][:20] for sigmoid in (table_sigmoid, series_sigmoid)
    ]
    return np.concatenate(shown)


def _sharp_layer(rng: Rng, name: str) -> Case:
    """One step without weights: the output is the output gate, times about 1, in full precision."""
    x_scale, scale = np.float32(rng.uniform(0.01, 0.03)), np.float32(rng.uniform(2e-7, 4e-7))
    sums = _where_scales_show(
        float(x_scale) * float(scale) * 4096, float(scale * x_scale * np.float32(4096))
    )
    units = len(sums)
    bias = np.zeros((4, units), np.int32)
    bias[0] = bias[2] = int(min(7.9 / (x_scale * scale), 2**31 - 1))
    bias[3] = sums
    inputs = [
        Value((1, 1, 1), float(x_scale), 3),
        Constant(np.zeros((4, units, 1), np.int8), (float(scale),) * 4, axis=0),
        Constant(np.zeros((4, units, units), np.int8), (0.001,) * 4, axis=0),
        Constant(bias, (float(x_scale * scale),) * 4, axis=0),
    ]
    return Case(name, "lstm", inputs, LstmAttributes(cell_scale_power=-13), (2.0**-15, -128))


@pytest.mark.parametrize("swapped", [False, True])
def test_scales_are_multiplied_as_each_runtime_does(
    swapped: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random sums hardly ever show it: with chosen ones, the other precision is noticed."""
    rng = np.random.default_rng(0)
    graph = build([_sharp_layer(rng, f"c{i}") for i in range(12)])
    if swapped:
        right = lstm._gate_multipliers
        other = {Dialect.TFLM: Dialect.TFLITE}
        monkeypatch.setattr(
            lstm, "_gate_multipliers", lambda s, w, d: right(s, w, other.get(d, Dialect.TFLM))
        )
    report = run(graph, tmp_path, random_feeds(graph, 1, 0))
    wrong = {r.name: r.mismatches for r in report.runners if r.available}
    differing = {name for name, count in wrong.items() if count}
    assert report.reference == "tflm"
    assert differing == (wrong.keys() - {"tflm"} if swapped else set())


def test_refuses_other_cell_scales() -> None:
    for power in (-16, -8, None):
        case = simple("cell", (1, 2, 3), 2, cell_scale_power=power)
        assert "cell state has the scale" in (problem(case) or "")


def test_refuses_rescaling_that_overflows() -> None:
    case = simple("huge", (1, 2, 3), 2)
    x, weights, *rest = case.inputs
    assert isinstance(weights, Constant)
    huge = dataclasses.replace(weights, scale=(1e6,) * 4)
    assert "so large" in (problem(dataclasses.replace(case, inputs=[x, huge, *rest])) or "")
    assert "so small" in (problem(dataclasses.replace(case, output=(1e-10, 0))) or "")


def test_refuses_sums_that_overflow() -> None:
    case = simple("full", (1, 2, 3), 2)
    bias = Constant(np.full((4, 2), 2**31 - 1, np.int32), (1.0,))
    assert "accumulator" in (
        problem(dataclasses.replace(case, inputs=[*case.inputs[:3], bias])) or ""
    )
