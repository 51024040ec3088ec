from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgecnn.ops.fully_connected import FullyConnectedAttributes
from firmware_export.device.cores import CORES, Core
from tests.fast.kernel_table import check_kernel, layer_of, taken
from tests.ops.case_table import Case, Constant, Value, random_cases
from tests.ops.test_fully_connected import CASES, random_linear

STEM = "fully_connected_small"
M0PLUS, M3 = CORES["cortex-m0plus"], CORES["cortex-m3"]


def extreme(name: str, weights: tuple[int, ...], depth: int, output: tuple[float, int]) -> Case:
    """Rows of equal weights over inputs with the zero point at the bottom."""
    data = np.repeat(np.array(weights, np.int8)[:, None], depth, axis=1)
    inputs = (Value((2, depth), 0.05, -128), Constant(data, (0.01,)), None)
    return Case(name, "fully_connected", inputs, FullyConnectedAttributes(), output)


EXTREMES = [
    extreme(f"weights-{i}-depth-{depth}-zero-{zero}", weights, depth, (depth / 100, zero))
    for depth in (1, 4, 7, 250)
    for zero in (-128, 5, 127)
    for i, weights in enumerate(
        ((127, 127, 127, 127), (-128, -127, -128, -127), (-128, 127, 127, -127, -128))
    )
]


@pytest.mark.parametrize("core", [M0PLUS, M3], ids=lambda core: core.name)
def test_cases(core: Core, tmp_path: Path) -> None:
    cases = taken(STEM, CASES, core)
    assert {"one-unit", "deep", "rows", "keeps-dims"} <= {case.name for case in cases}
    check_kernel(STEM, cases, tmp_path, core=core)


def test_extremes(tmp_path: Path) -> None:
    assert taken(STEM, EXTREMES, M0PLUS) == EXTREMES
    check_kernel(STEM, EXTREMES, tmp_path, core=M0PLUS, samples=8)


def test_two_rows_beyond_a_half_word_are_refused() -> None:
    case = extreme("too-large", (-128, -128), 4, (0.2, 0))
    assert layer_of(STEM, case, M0PLUS) is None


@pytest.mark.parametrize("seed", [31, 32])
def test_random(seed: int, tmp_path: Path) -> None:
    cases = taken(STEM, random_cases(random_linear, 48, seed), M0PLUS)
    assert len(cases) > 15
    check_kernel(STEM, cases, tmp_path, core=M0PLUS)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(33, 38))
def test_many(seed: int, tmp_path: Path) -> None:
    check_kernel(STEM, taken(STEM, random_cases(random_linear, 48, seed), M3), tmp_path, core=M3)
