from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.errors import UnsupportedError
from edgecnn.fixedpoint import (
    dequantize,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
)
from edgecnn.frontends.tflite import load, parse
from edgecnn.ir import Array
from edgecnn.operators import operator
from edgecnn.ops.svdf import SvdfAttributes
from edgecnn.parity import ParityReport, random_feeds
from edgecnn.quantization.error import sqnr_db
from edgecnn.simulator import run_int
from firmware_export.tflite_writer import IDENTIFIER, to_tflite
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


def filters(
    rng: Rng,
    name: str,
    x: Value,
    units: int,
    rank: int,
    memory: int,
    *,
    state_zero_point: int | None = None,
    bias: bool = True,
    zero_point: int = -128,
    steps: float = 64.0,
) -> Case:
    """An SVDF whose output spreads over about ``steps``; int8 state where it has a zero point."""
    is_int8 = state_zero_point is not None
    depth, count = x.shape[1], units * rank
    dtype, limit = (np.int8, 127) if is_int8 else (np.int16, 32767 // rank)
    scale = draw_scale(rng, -9, -4)
    time_scale = 1 / limit
    feature_spread = x.scale * scale * 70 * 70 * np.sqrt(depth)
    state_scale = feature_spread / (limit / 4)
    time = rng.integers(-limit, limit + 1, (count, memory)).astype(dtype)
    inputs: list[Value | Constant | None] = [
        x,
        Constant(draw_weights(rng, (count, depth)), (scale,)),
        Constant(time, (time_scale,)),
        None,
    ]
    if bias:
        data = rng.integers(-limit * 20, limit * 20, units).astype(np.int32)
        inputs[3] = Constant(data, (state_scale * time_scale,))
    state = (float(np.float32(state_scale)), state_zero_point or 0)
    output = (float(feature_spread * np.sqrt(rank) / steps), zero_point)
    return Case(name, "svdf", inputs, SvdfAttributes(rank, state), output)


def simple(name: str, units: int, rank: int, memory: int, **options: Any) -> Case:
    rng = np.random.default_rng(sum(name.encode()))
    return filters(rng, name, Value((1, 10), 0.02, 3), units, rank, memory, **options)


CASES = [
    simple("plain", 4, 1, 5),
    simple("rank-two", 4, 2, 5),
    simple("one-frame", 4, 2, 1),
    simple("one-unit", 1, 1, 3),
    simple("no-bias", 4, 2, 5, bias=False),
    simple("symmetric-output", 4, 2, 5, zero_point=0),
    simple("saturates", 4, 3, 5, steps=10000.0),
    filters(np.random.default_rng(0), "rows", Value((3, 10), 0.02, 3), 4, 2, 5),
]
INT8_STATE = [
    simple("int8-state", 4, 1, 5, state_zero_point=0),
    simple("int8-state-off-zero", 40, 1, 5, state_zero_point=90),
    simple("int8-state-rank", 40, 2, 5, state_zero_point=-128),
]


def random_filters(rng: Rng, name: str) -> Case:
    x = Value(
        (draw(rng, (1, 1, 3)), int(rng.integers(1, 60))), draw_scale(rng), draw_zero_point(rng)
    )
    units, rank, memory = (int(rng.integers(1, top)) for top in (20, 4, 13))
    zero_point = draw_zero_point(rng)
    steps = float(2.0 ** rng.uniform(4, 9))
    return filters(
        rng, name, x, units, rank, memory,
        bias=bool(rng.random() < 0.8), zero_point=zero_point, steps=steps,
    )  # fmt: skip


def random_int8_filters(rng: Rng, name: str) -> Case:
    x = Value((1, int(rng.integers(1, 60))), draw_scale(rng), draw_zero_point(rng))
    units, rank, memory = (int(rng.integers(1, top)) for top in (20, 4, 13))
    zero_point = draw_zero_point(rng)
    return filters(rng, name, x, units, rank, memory, state_zero_point=zero_point)


def test_cases(tmp_path: Path) -> None:
    check(CASES, tmp_path, samples=20)


def test_random(tmp_path: Path) -> None:
    check(random_cases(random_filters, 48, 1), tmp_path, samples=20)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 7))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check(random_cases(random_filters, 48, seed), tmp_path, samples=20, seed=seed)


def _int8_report(cases: list[Case], directory: Path, seed: int) -> ParityReport:
    graph = build(cases)
    return run(graph, directory, random_feeds(graph, 20, seed))


@pytest.mark.parametrize("cases", [INT8_STATE, random_cases(random_int8_filters, 48, 1)])
def test_int8_state_on_what_has_it(cases: list[Case], tmp_path: Path) -> None:
    """TensorFlow Lite's own runtimes would read int8 weights as int16."""
    report = _int8_report(cases, tmp_path, 0)
    available = {r.name for r in report.runners if r.available}
    assert report.passed
    assert report.reference == "tflm"
    assert available == {"numpy", "tflm", "host-c"}
    reasons = {r.name: r.reason for r in report.runners if not r.available}
    assert "int8 state" in reasons["litert"]


def _where_dialects_differ(real: float, single: float, limit: int) -> Array:
    """Sums that a multiplier rescales to another integer than its float32 neighbour."""
    halves = np.arange(-limit, limit) + 0.5
    sums = np.round(halves[:, None] / real + np.arange(-12, 13)).astype(np.int64).reshape(-1)
    exact, other = (
        multiply_by_quantized_multiplier(sums, *quantize_multiplier(s)) for s in (real, single)
    )
    return sums[exact != other]


def _sharp_case(name: str, scales: tuple[float, float, float]) -> Case:
    """Units that only hand on biases, at which float32 and double scales give other bytes."""
    state, time, output = (np.float32(s) for s in scales)
    real = float(state) * float(time) / float(output)
    sums = _where_dialects_differ(real, float(state * time / output), 100)[:200]
    inputs = [
        Value((1, 1), 0.02, 3),
        Constant(np.zeros((len(sums), 1), np.int8), (0.01,)),
        Constant(np.ones((len(sums), 1), np.int16), (float(time),)),
        Constant(sums.astype(np.int32), (float(state * time),)),
    ]
    attributes = SvdfAttributes(1, (float(state), 0))
    return Case(name, "svdf", inputs, attributes, (float(output), 0))


def test_scales_are_multiplied_as_each_runtime_does(tmp_path: Path) -> None:
    """Random sums hardly ever show it, so sums are chosen where it shows."""
    rng = np.random.default_rng(0)
    cases = []
    for number in range(30):
        state, time = rng.uniform(0.001, 0.002), rng.uniform(1e-5, 3e-5)
        case = _sharp_case(f"c{number}", (state, time, state * time * rng.uniform(1e6, 2e6)))
        if case.inputs[3] is not None and case.inputs[3].tensor("b").size:
            cases.append(case)
    assert len(cases) > 5
    graph = build(cases)
    report = run(graph, tmp_path, random_feeds(graph, 2, 0))
    assert report.passed
    assert all(r.mismatches == 0 for r in report.runners)
    known = {r.name: r.known_differences for r in report.runners}
    assert known["litert"] > 500
    assert known["tflm"] == known["host-c"] == 0


def test_is_near_the_float_meaning() -> None:
    graph = build([simple("near", 20, 2, 5, zero_point=0)])
    node = graph.nodes[0]
    # Small inputs, so that neither the state nor the output saturates.
    codes = np.random.default_rng(0).integers(-30, 31, (50, 1, 10)).astype(np.int8)
    feeds = {graph.inputs[0]: codes}
    op = operator("svdf")

    def reals(name: str) -> Any:
        data, tensor = graph.constant(name), graph.tensors[name]
        assert data is not None
        return data * np.float64(tensor.scale)

    x, output = graph.tensors[node.inputs[0]], graph.tensors[node.output]
    samples = dequantize(feeds[x.name][:, 0], x.scale, x.zero_point)
    constants = [reals(name) for name in node.inputs[1:]]
    (wanted,) = op.evaluate_float(node.attributes, [samples, *constants])
    results = run_int(graph, feeds)[output.name][:, 0]
    got = dequantize(results, output.scale, output.zero_point)
    assert np.abs(results).max() < 127
    noise = np.square(wanted - got).sum()
    assert sqnr_db(float(np.square(wanted).sum()), float(noise)) > 28


# --- reading --------------------------------------------------------------------------------------


def changed(data: bytes, change: Callable[[Any], None]) -> bytes:
    """A file after a change to its subgraph."""
    import flatbuffers

    model = parse(data)
    change(model.subgraphs[0])
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


@pytest.mark.parametrize("case", [*CASES, *INT8_STATE], ids=lambda c: str(c.name))
def test_reads_what_it_writes(case: Case) -> None:
    graph = build([case])
    again = load(to_tflite(graph), "net")
    assert again.nodes[0].attributes == graph.nodes[0].attributes
    feeds = random_feeds(graph, 5, 0)
    outputs = [run_int(g, feeds)[case.name] for g in (graph, again)]
    np.testing.assert_array_equal(*outputs)


def _other_state(graph: Any) -> None:
    graph.tensors[graph.operators[0].inputs[4]].type = 9


def _no_state(graph: Any) -> None:
    graph.operators[0].inputs = graph.operators[0].inputs[:4]


@pytest.mark.parametrize(
    ("change", "reason"), [(_other_state, "both must be int16"), (_no_state, "no state")]
)
def test_refuses_other_states(change: Callable[[Any], None], reason: str) -> None:
    with pytest.raises(UnsupportedError, match=reason):
        load(changed(to_tflite(build(CASES[:1])), change), "net")


def test_refuses_what_overflows() -> None:
    case = simple("full", 4, 2, 5)
    assert problem(case) is None
    bias = Constant(np.full(4, 2**31 - 1, np.int32), (1.0,))
    full = dataclasses.replace(case, inputs=[*case.inputs[:3], bias])
    assert "accumulator" in (problem(full) or "")
    assert "output scale" in (problem(dataclasses.replace(case, output=(1e-12, 0))) or "")
    tiny = SvdfAttributes(2, (1e-12, 0))
    assert "state is so small" in (problem(dataclasses.replace(case, attributes=tiny)) or "")
    shifted = SvdfAttributes(2, (0.001, 5))
    assert "zero point" in (problem(dataclasses.replace(case, attributes=shifted)) or "")
