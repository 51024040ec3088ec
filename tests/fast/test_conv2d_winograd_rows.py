from __future__ import annotations

import numpy as np
import pytest

from firmware_export.fast.conv2d_winograd_rows import MAX_SUM, OFFSET
from firmware_export.winograd import F4
from tests.fast.winograd_rows_tests import WinogradRowsTests, along_rows


class TestConv2DWinogradRows(WinogradRowsTests):
    kernel = "conv2d_winograd_rows"
    seed = 61


def test_ranges() -> None:
    """The figures of the proof."""
    assert np.abs(F4.weights).sum(axis=1).max() * 128 == 1536
    high = np.where(along_rows(F4.input)[:, 0] > 0, 255, 0)
    v = high @ F4.input.T
    assert (v.min(), v.max()) == (-2040, 1275)
    assert v.min() + OFFSET >= 0
    assert v.max() + OFFSET < 1 << 15


@pytest.mark.parametrize("sign", [1, -1])
def test_twelfth(sign: int) -> None:
    """The rounded high word is twice the sum for the largest of them."""
    high = (24 * sign * MAX_SUM * ((1 << 32) // 12) + (1 << 31)) >> 32
    assert high == 2 * sign * MAX_SUM
