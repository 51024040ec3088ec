from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from firmware_export.winograd import F2
from tests.fast.kernel_table import check_kernel, layer_of, taken
from tests.fast.winograd_cases import (
    OTHERS,
    WIDE,
    check_transforms,
    outer_signs,
    random_case,
    worst,
)
from tests.ops.case_table import Case, random_cases
from tests.ops.test_conv2d import CASES

KERNEL = "conv2d_winograd2"


def test_transforms_are_those_of_a_convolution() -> None:
    check_transforms(F2)


def test_ranges() -> None:
    """The figures of the proof."""
    for matrix, largest in ((F2.weights, 1152), (F2.input, 512)):
        extremes = -128 * outer_signs(matrix)
        transformed = np.einsum("ia,jb,kab->kij", matrix, matrix, extremes)
        assert np.abs(transformed).max() == largest


def test_cases(tmp_path: Path) -> None:
    cases = taken(KERNEL, CASES)
    assert {"same", "zero-point-at-the-bottom"} <= {case.name for case in cases}
    check_kernel(KERNEL, [*cases, *WIDE], tmp_path)


@pytest.mark.parametrize("seed", [31])
def test_random(seed: int, tmp_path: Path) -> None:
    cases = taken(KERNEL, random_cases(random_case, 40, seed))
    assert len(cases) > 30
    check_kernel(KERNEL, cases, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(32, 40))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check_kernel(KERNEL, taken(KERNEL, random_cases(random_case, 40, seed)), tmp_path, samples=9)


@pytest.mark.parametrize("channels", [4, 7])
def test_worst(channels: int, tmp_path: Path) -> None:
    case, feeds = worst(F2, channels)
    check_kernel(KERNEL, [case], tmp_path, feeds=feeds)


@pytest.mark.parametrize("case", OTHERS, ids=lambda case: case.name)
def test_leaves_to_others(case: Case) -> None:
    assert layer_of(KERNEL, case) is None
