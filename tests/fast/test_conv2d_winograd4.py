from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from firmware_export.fast.conv2d_winograd4 import OFFSET, largest_moved_sum
from firmware_export.winograd import F4
from tests.fast.kernel_table import check_kernel, layer_of, taken
from tests.fast.winograd_cases import (
    OTHERS,
    WIDE,
    check_transforms,
    outer_signs,
    random_case,
    worst,
)
from tests.ops.case_table import Case, Constant, random_cases
from tests.ops.test_conv2d import CASES, conv

KERNEL = "conv2d_winograd4"


def saturated(channels: int) -> Case:
    """All weights -128."""
    case = conv("saturated", (7, 6, channels), (3, 3, 3, channels), padding=(1, 1, 1, 1))
    x, weights, bias = case.inputs
    assert isinstance(weights, Constant)
    full = dataclasses.replace(weights, data=np.full_like(weights.data, -128))
    return dataclasses.replace(case, inputs=[x, full, bias])


def test_transforms_are_those_of_a_convolution() -> None:
    check_transforms(F4)


def test_ranges() -> None:
    """The figures of the proof."""
    u = np.einsum("ia,jb,kab->kij", F4.weights, F4.weights, 128 * outer_signs(F4.weights))
    assert np.abs(u).max() == 18432
    signs = outer_signs(F4.input)
    high = np.where(np.concatenate([signs, -signs]) > 0, 255, 0)
    v = np.einsum("ia,jb,kab->kij", F4.input, F4.input, high)
    assert (v.min(), v.max()) == (-12750, 17340)
    assert v.min() + OFFSET >= 0
    assert v.max() + OFFSET < 1 << 15


def test_cases(tmp_path: Path) -> None:
    cases = taken(KERNEL, CASES)
    assert {"same", "zero-point-at-the-bottom"} <= {case.name for case in cases}
    check_kernel(KERNEL, [*cases, *WIDE], tmp_path)


@pytest.mark.parametrize("seed", [21])
def test_random(seed: int, tmp_path: Path) -> None:
    cases = taken(KERNEL, random_cases(random_case, 40, seed))
    assert len(cases) > 30
    check_kernel(KERNEL, cases, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(22, 30))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check_kernel(KERNEL, taken(KERNEL, random_cases(random_case, 40, seed)), tmp_path, samples=9)


@pytest.mark.parametrize("channels", [4, 7])
def test_worst(channels: int, tmp_path: Path) -> None:
    case, feeds = worst(F4, channels)
    check_kernel(KERNEL, [case], tmp_path, feeds=feeds)


def test_largest_sums(tmp_path: Path) -> None:
    """Up to the sums that are proved not to lose a bit; the next is left to other kernels."""
    case = saturated(114)
    weights = case.inputs[1]
    assert isinstance(weights, Constant)
    assert 2**25 - 2**18 < largest_moved_sum(weights.data) < 2**25
    check_kernel(KERNEL, [case], tmp_path)
    assert layer_of(KERNEL, saturated(115)) is None


@pytest.mark.parametrize("case", OTHERS, ids=lambda case: case.name)
def test_leaves_to_others(case: Case) -> None:
    assert layer_of(KERNEL, case) is None
