from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from edgecnn.ir import Array
from edgecnn.ops.conv2d import Conv2DAttributes
from firmware_export.fast.conv2d_winograd_rows import MAX_SUM, OFFSET, largest_moved_sum
from firmware_export.winograd import F4
from tests.fast.kernel_table import check_kernel, layer_of
from tests.fast.winograd_cases import ends
from tests.fast.winograd_tests import WinogradTests
from tests.ops.case_table import Case, Constant, Value
from tests.ops.test_conv2d import conv

KERNEL = "conv2d_winograd_rows"


class TestConv2DWinogradRows(WinogradTests):
    kernel = KERNEL
    transforms = F4
    seed = 61


def along_rows(matrix: Array) -> Array:
    """The signs of a matrix's rows, and their opposites, on each of three rows of an image."""
    signs = np.concatenate([np.sign(matrix), -np.sign(matrix)])
    return np.repeat(signs[:, None, :], 3, axis=1)


def test_ranges() -> None:
    """The figures of the proof."""
    assert np.abs(F4.weights).sum(axis=1).max() * 128 == 1536
    high = np.where(along_rows(F4.input)[:, 0] > 0, 255, 0)
    v = high @ F4.input.T
    assert (v.min(), v.max()) == (-2040, 1275)
    assert v.min() + OFFSET >= 0
    assert v.max() + OFFSET < 1 << 15


def test_worst_rows(tmp_path: Path) -> None:
    """One tile in which every position is at both ends of its range, as weights and as inputs."""
    weights, images = along_rows(F4.weights), along_rows(F4.input)
    channels = 7
    opposite = np.where(np.arange(channels) % 4 < 2, 1, -1)
    images = np.concatenate([images[..., None] * sign for sign in (np.ones(channels), opposite)])
    inputs: list[Value | Constant | None] = [
        Value((1, 3, 6, channels), 0.05, 127),
        Constant(ends(np.repeat(weights[..., None], channels, axis=-1)), (0.01,) * 12, axis=0),
        None,
    ]
    spread = 0.05 * 0.01 * 9 * channels * 128 * 255 / 256
    case = Case("worst", "conv2d", inputs, Conv2DAttributes(), (spread, -1))
    check_kernel(KERNEL, [case], tmp_path, feeds={"worst/0": ends(images)[:, None]})


def saturated(channels: int, weight: int) -> Case:
    """All weights the same."""
    case = conv("saturated", (4, 6, channels), (3, 3, 3, channels), padding=(1, 1, 1, 1))
    x, weights, bias = case.inputs
    assert isinstance(weights, Constant)
    full = dataclasses.replace(weights, data=np.full_like(weights.data, weight))
    return dataclasses.replace(case, inputs=[x, full, bias])


@pytest.mark.parametrize("weight", [-128, 127])
def test_largest_sums(weight: int, tmp_path: Path) -> None:
    """Up to the sums that are proved not to lose a bit; the next are left to other kernels."""
    case = saturated(81, weight)
    weights = case.inputs[1]
    assert isinstance(weights, Constant)
    assert 0.97 * MAX_SUM < largest_moved_sum(weights.data) <= MAX_SUM
    extremes = np.array([[[-128]], [[127]]], np.int8)
    feeds = {"saturated/0": np.broadcast_to(extremes[..., None, None], (2, 1, 4, 6, 81)).copy()}
    check_kernel(KERNEL, [case], tmp_path, feeds=feeds)
    assert layer_of(KERNEL, saturated(84, weight)) is None


@pytest.mark.parametrize("sign", [1, -1])
def test_twelfth(sign: int) -> None:
    """The rounded high word is twice the sum for the largest of them."""
    high = (24 * sign * MAX_SUM * ((1 << 32) // 12) + (1 << 31)) >> 32
    assert high == 2 * sign * MAX_SUM


def test_one_row_at_a_time(tmp_path: Path) -> None:
    """Bands of one row of outputs, of all lengths of the loop over channels and odd widths."""
    cases = [
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
    check_kernel(KERNEL, cases, tmp_path)
