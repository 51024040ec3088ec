from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from edgecnn.ops.fully_connected import FullyConnectedAttributes
from firmware_export.tflite_writer import to_tflite
from tests.ops.case_table import (
    ACTIVATIONS,
    Case,
    Constant,
    Rng,
    Value,
    build,
    check,
    draw,
    draw_scale,
    draw_weighted,
    draw_zero_point,
    problem,
    random_cases,
)


def linear(
    name: str,
    shape: tuple[int, ...],
    units: int,
    depth: int,
    *,
    bias: bool = True,
    per_channel: bool = False,
    keep_dims: bool = False,
    activation: str = "none",
) -> Case:
    """A fully connected layer of ``units`` by ``depth`` over an input of some shape."""
    rng = np.random.default_rng(sum(name.encode()))
    inputs, output = draw_weighted(
        rng, Value(shape, 0.03, -5), (units, depth), 0, per_channel=per_channel, bias=bias
    )
    attributes = FullyConnectedAttributes(activation, keep_dims)
    return Case(name, "fully_connected", inputs, attributes, output)


CASES = [
    linear("plain", (1, 20), 10, 20),
    linear("one-unit", (1, 20), 1, 20),
    linear("depth-of-one", (1, 1), 7, 1),
    linear("deep", (1, 1000), 3, 1000),
    linear("no-bias", (1, 12), 5, 12, bias=False),
    linear("per-channel", (1, 12), 5, 12, per_channel=True),
    linear("flattens-an-image", (1, 3, 4, 2), 5, 24),
    linear("rows", (3, 12), 5, 12),
    linear("keeps-dims", (1, 3, 4, 6), 5, 6, keep_dims=True),
    *(linear(f"fused-{a}", (1, 9), 8, 9, activation=a) for a in ACTIVATIONS),
]


def random_linear(rng: Rng, name: str) -> Case:
    units, depth = int(rng.integers(1, 40)), int(rng.integers(1, 200))
    rows = draw(rng, (1, 1, 1, 2, 5))
    keep_dims = bool(rng.random() < 0.3)
    shape = draw(rng, ((1, rows, depth), (1, 1, rows, depth))) if keep_dims else (rows, depth)
    x = Value(shape, draw_scale(rng), draw_zero_point(rng))
    inputs, output = draw_weighted(
        rng,
        x,
        (units, depth),
        0,
        per_channel=bool(rng.random() < 0.3),
        bias=bool(rng.random() < 0.8),
    )
    attributes = FullyConnectedAttributes(draw(rng, ACTIVATIONS), keep_dims)
    return Case(name, "fully_connected", inputs, attributes, output)


def test_cases(tmp_path: Path) -> None:
    check(CASES, tmp_path)


def test_random(tmp_path: Path) -> None:
    check(random_cases(random_linear, 48, 1), tmp_path, samples=20)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 7))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check(random_cases(random_linear, 48, seed), tmp_path, samples=20, seed=seed)


@pytest.mark.parametrize(
    ("options", "version"),
    [({}, 4), ({"keep_dims": True}, 5), ({"per_channel": True}, 9)],
)
def test_is_written_as_the_version_that_first_had_it(
    options: dict[str, bool], version: int
) -> None:
    """Runtimes from before scales per channel would take the first one for all."""
    from ai_edge_litert import schema_py_generated as schema

    data = to_tflite(build([linear("versioned", (1, 9), 4, 9, **options)]))
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data))
    assert [code.version for code in model.operatorCodes] == [version]


def test_refuses_a_rescaling_that_overflows() -> None:
    case = linear("tiny", (1, 9), 4, 9)
    assert problem(case) is None
    assert "overflows int32" in (problem(dataclasses.replace(case, output=(1e-9, 0))) or "")


def test_refuses_sums_that_overflow() -> None:
    case = linear("tiny", (1, 9), 4, 9)
    x, weights, _ = case.inputs
    assert isinstance(weights, Constant)
    bias = Constant(np.full(4, 2**31 - 1, np.int32), (0.01,))
    overflowing = dataclasses.replace(case, inputs=[x, weights, bias])
    assert "accumulator" in (problem(overflowing) or "")


def test_one_zero_point_of_the_weights(tmp_path: Path) -> None:
    cases = []
    for zero_point in (-128, -20, 1, 127):
        case = linear(f"zero-point-{zero_point}", (1, 9), 4, 9, per_channel=False)
        x, weights, bias = case.inputs
        assert isinstance(weights, Constant)
        shifted = dataclasses.replace(weights, zero_point=zero_point)
        cases.append(dataclasses.replace(case, inputs=[x, shifted, bias]))
    check(cases, tmp_path, samples=50)


def test_refuses_zero_points_of_channels() -> None:
    """All runtimes ignore them."""
    case = linear("tiny", (1, 9), 4, 9, per_channel=True)
    x, weights, bias = case.inputs
    assert isinstance(weights, Constant)
    shifted = dataclasses.replace(weights, zero_point=1)
    assert "zero point" in (problem(dataclasses.replace(case, inputs=[x, shifted, bias])) or "")
