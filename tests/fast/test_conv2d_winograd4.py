from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np

from firmware_export.fast.conv2d_winograd4 import OFFSET, largest_moved_sum
from firmware_export.winograd import F4
from tests.fast.kernel_table import check_kernel, layer_of
from tests.fast.winograd_cases import outer_signs
from tests.fast.winograd_tests import WinogradTests
from tests.ops.case_table import Case, Constant
from tests.ops.test_conv2d import conv

KERNEL = "conv2d_winograd4"


def saturated(channels: int) -> Case:
    """All weights -128."""
    case = conv("saturated", (7, 6, channels), (3, 3, 3, channels), padding=(1, 1, 1, 1))
    x, weights, bias = case.inputs
    assert isinstance(weights, Constant)
    full = dataclasses.replace(weights, data=np.full_like(weights.data, -128))
    return dataclasses.replace(case, inputs=[x, full, bias])


class TestConv2DWinograd4(WinogradTests):
    kernel = KERNEL
    transforms = F4
    seed = 21


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


def test_largest_sums(tmp_path: Path) -> None:
    """Up to the sums that are proved not to lose a bit; the next is left to other kernels."""
    case = saturated(114)
    weights = case.inputs[1]
    assert isinstance(weights, Constant)
    assert 2**25 - 2**18 < largest_moved_sum(weights.data) < 2**25
    check_kernel(KERNEL, [case], tmp_path)
    assert layer_of(KERNEL, saturated(115)) is None
