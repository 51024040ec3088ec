from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.fast.kernel_table import check_kernel, layer_of, taken
from tests.ops.binary_cases import BYTES, Quants
from tests.ops.case_table import ACTIVATIONS, random_cases
from tests.ops.test_mul import CASES, mul, random_mul

STEM = "mul_fast"

#: Output scales from the least right shift to the largest, and zero points at both ends.
SCALES: dict[str, Quants] = {
    "shift-of-1": ((0.5, 3), (0.25, -20), (0.26, 1)),
    "typical": ((0.0237, -128), (0.0411, 17), (0.0529, -128)),
    "ends": ((0.0237, -128), (0.0411, 127), (0.0129, 127)),
    "shift-of-23": ((0.01, 127), (0.01, -128), (1500.0, -3)),
}


def test_cases(tmp_path: Path) -> None:
    check_kernel(STEM, CASES, tmp_path)


def test_every_pair(tmp_path: Path) -> None:
    shape = (1, 65536)
    cases = [mul(name, shape, shape, scales) for name, scales in SCALES.items()]
    cases += [mul(a, shape, shape, SCALES["typical"], a) for a in ACTIVATIONS]
    shifts = [layer.shape["shift"] for c in cases if (layer := layer_of(STEM, c)) is not None]
    assert {0, 22} <= set(shifts)
    first, second = (g.astype(np.int8).reshape(1, 1, -1) for g in np.meshgrid(BYTES, BYTES))
    feeds = {f"{case.name}/{i}": (first, second)[i] for case in cases for i in (0, 1)}
    check_kernel(STEM, cases, tmp_path, feeds=feeds)


@pytest.mark.parametrize(
    "seed", [11, pytest.param(12, marks=pytest.mark.slow), pytest.param(13, marks=pytest.mark.slow)]
)
def test_random(seed: int, tmp_path: Path) -> None:
    cases = taken(STEM, random_cases(random_mul, 48, seed))
    assert len(cases) > 25
    check_kernel(STEM, cases, tmp_path)
