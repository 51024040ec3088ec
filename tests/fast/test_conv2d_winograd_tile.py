from __future__ import annotations

from tests.fast.kernel_table import layer_of
from tests.fast.winograd_rows_tests import ROWS, WinogradRowsTests


class TestConv2DWinogradTile(WinogradRowsTests):
    kernel = "conv2d_winograd_tile"
    seed = 81


def test_takes_half_of_the_working_memory_of_two_tiles() -> None:
    found = [
        layer_of(kernel, ROWS[1]) for kernel in ("conv2d_winograd_rows", "conv2d_winograd_tile")
    ]
    assert [layer.scratch_bytes for layer in found if layer] == [1344, 672]
