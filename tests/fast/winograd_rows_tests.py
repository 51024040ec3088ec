"""Tests that the kernels of Winograd's algorithm along rows share."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from edgecnn.ir import Array
from edgecnn.ops.conv2d import Conv2DAttributes
from firmware_export.fast.conv2d_winograd_rows import MAX_SUM, largest_moved_sum
from firmware_export.winograd import F4
from tests.fast.kernel_table import check_kernel, layer_of
from tests.fast.winograd_cases import ends
from tests.fast.winograd_tests import WinogradTests
from tests.ops.case_table import Case, Constant, Value
from tests.ops.test_conv2d import conv

#: Bands of one row of outputs: all lengths of the loop over channels, odd widths and paddings.
ROWS = [
    conv(f"row-{width}-{channels}", (3, width, channels), (6, 3, 3, channels), padding=padding)
    for width, channels, padding in (
        (32, 3, (0, 0, 1, 1)),
        (16, 16, (0, 0, 1, 1)),
        (9, 24, (0, 0, 1, 1)),
        (7, 20, (0, 0, 0, 0)),
        (3, 8, (0, 0, 0, 0)),
        (1, 5, (0, 0, 1, 2)),
    )
]


def along_rows(matrix: Array) -> Array:
    """The signs of a matrix's rows, and their opposites, on each of three rows of an image."""
    signs = np.concatenate([np.sign(matrix), -np.sign(matrix)])
    return np.repeat(signs[:, None, :], 3, axis=1)


def worst_rows(channels: int, finer: int) -> tuple[Case, dict[str, Array]]:
    """One tile, and its inputs: every position is at both ends of its range, in weights and inputs.

    Samples come with the same sign in all channels, then the opposite in the high ones. The step of
    the outputs is so many times finer than one that none of them needs clamping.
    """
    weights, images = along_rows(F4.weights), along_rows(F4.input)
    opposite = np.where(np.arange(channels) % 4 < 2, 1, -1)
    images = np.concatenate([images[..., None] * sign for sign in (np.ones(channels), opposite)])
    inputs: list[Value | Constant | None] = [
        Value((1, 3, 6, channels), 0.05, 127),
        Constant(ends(np.repeat(weights[..., None], channels, axis=-1)), (0.01,) * 12, axis=0),
        None,
    ]
    spread = 0.05 * 0.01 * 9 * channels * 128 * 255 / 256 / finer
    name = f"worst-{finer}"
    case = Case(name, "conv2d", inputs, Conv2DAttributes(), (spread, -1))
    return case, {f"{name}/0": ends(images)[:, None]}


def saturated(channels: int, weight: int) -> Case:
    """All weights the same."""
    case = conv("saturated", (4, 6, channels), (3, 3, 3, channels), padding=(1, 1, 1, 1))
    x, weights, bias = case.inputs
    assert isinstance(weights, Constant)
    full = dataclasses.replace(weights, data=np.full_like(weights.data, weight))
    return dataclasses.replace(case, inputs=[x, full, bias])


class WinogradRowsTests(WinogradTests):
    """Those of all kernels of Winograd's, at the extremes of this algorithm, and on single rows."""

    transforms = F4

    def test_one_row_at_a_time(self, tmp_path: Path) -> None:
        check_kernel(self.kernel, ROWS, tmp_path, core=self.core)

    def test_worst_rows(self, tmp_path: Path) -> None:
        found = [worst_rows(7, finer) for finer in (1, 8, 64)]
        feeds = {name: images for _, fed in found for name, images in fed.items()}
        cases = [case for case, _ in found]
        check_kernel(self.kernel, cases, tmp_path, core=self.core, feeds=feeds)

    @pytest.mark.parametrize("weight", [-128, 127])
    def test_largest_sums(self, weight: int, tmp_path: Path) -> None:
        """Up to the sums that are proved not to lose a bit; the next are left to others."""
        case = saturated(81, weight)
        weights = case.inputs[1]
        assert isinstance(weights, Constant)
        assert 0.97 * MAX_SUM < largest_moved_sum(weights.data) <= MAX_SUM
        images = [np.full((1, 4, 6, 81), end, np.int8) for end in (-128, 127)]
        feeds = {"saturated/0": np.stack(images)}
        check_kernel(self.kernel, [case], tmp_path, core=self.core, feeds=feeds)
        assert layer_of(self.kernel, saturated(84, weight), self.core) is None
