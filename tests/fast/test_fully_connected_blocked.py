from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgecnn.ops.fully_connected import FullyConnectedAttributes
from tests.fast.kernel_table import check_kernel, layer_of, taken
from tests.ops.case_table import Case, Constant, Value, random_cases
from tests.ops.test_fully_connected import CASES, linear, random_linear

STEM = "fully_connected_blocked"


def extreme(weight: int, depth: int, units: int, zero_point: int, bias: int = 0) -> Case:
    """Weights that are all the same, and sums as large as they get."""
    weights = np.full((units, depth), weight, np.int8)
    inputs: list[Value | Constant | None] = [
        Value((1, depth), 0.05, zero_point),
        Constant(weights, (0.02,)),
        Constant(np.full(units, bias, np.int32), (0.001,)),
    ]
    name = f"all{weight}-{depth}-{units}-{zero_point}-{bias}"
    output = (0.05 * 0.02 * 128 * depth / 4, -zero_point - 1)
    return Case(name, "fully_connected", inputs, FullyConnectedAttributes(), output)


def test_cases(tmp_path: Path) -> None:
    cases = taken(STEM, CASES)
    assert {"plain", "one-unit", "per-channel", "rows"} <= {case.name for case in cases}
    check_kernel(STEM, cases, tmp_path)


def test_all_sizes_of_the_last_block(tmp_path: Path) -> None:
    cases = [linear(f"units{n}", (1, 21), n, 21) for n in range(1, 14)]
    cases += [linear(f"depth{n}", (1, n), 8, n) for n in range(1, 37)]
    cases = taken(STEM, cases)
    assert len(cases) > 35
    check_kernel(STEM, cases, tmp_path)


def test_extremes(tmp_path: Path) -> None:
    cases = [
        extreme(weight, 33, 9, zero_point, bias)
        for weight in (-128, -127, 127)
        for zero_point in (-128, 127)
        for bias in (-(1 << 22), 1 << 22)
    ]
    # Sums of odd units that reach 2^23, so that rows are not joint.
    cases += [extreme(weight, 600, 8, 127) for weight in (-127, 127)]
    joint = [layer.shape["is_joint"] for c in cases if (layer := layer_of(STEM, c)) is not None]
    assert len(joint) == len(cases)
    assert set(joint) == {0, 1}
    check_kernel(STEM, cases, tmp_path)


def test_leaves_weights_with_a_zero_point() -> None:
    case = extreme(5, 8, 4, 0)
    weights = Constant(np.full((4, 8), 5, np.int8), (0.02,), zero_point=3)
    shifted = Case(case.name, case.op, [case.inputs[0], weights, None], case.attributes, (1.0, 0))
    assert layer_of(STEM, shifted) is None


@pytest.mark.parametrize(
    "seed", [11, pytest.param(12, marks=pytest.mark.slow), pytest.param(13, marks=pytest.mark.slow)]
)
def test_random(seed: int, tmp_path: Path) -> None:
    cases = taken(STEM, random_cases(random_linear, 48, seed))
    assert len(cases) > 25
    check_kernel(STEM, cases, tmp_path)
