"""Every fast kernel on every layer of a table that it can compute, on the host and its core."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware_export.fast_kernel import fast_kernels
from tests.fast.kernel_table import M0PLUS, M4, check_kernel, taken
from tests.fast.layer_table import LAYERS, MAKERS, layers

KERNELS = sorted(stem for stem, kernel in fast_kernels().items() if kernel.op in MAKERS)
#: Layers in one program.
_PART = 40


def check_part(stem: str, directory: Path, part: slice) -> None:
    kernel = fast_kernels()[stem]
    core = M4 if kernel.needs_dsp else M0PLUS
    cases = taken(stem, layers(kernel.op), core)[part]
    if cases:
        check_kernel(stem, cases, directory, core=core, samples=2)


@pytest.mark.parametrize("stem", KERNELS)
def test_some_layers(stem: str, tmp_path: Path) -> None:
    check_part(stem, tmp_path, slice(0, 8))


@pytest.mark.slow
@pytest.mark.parametrize("start", range(8, LAYERS, _PART))
@pytest.mark.parametrize("stem", KERNELS)
def test_all_layers(stem: str, start: int, tmp_path: Path) -> None:
    check_part(stem, tmp_path, slice(start, start + _PART))


#: Kernels for a window of 3 x 3 only.
_ONE_WINDOW = ("winograd", "depthwise_conv2d_small")


def test_kernels_take_most_layers_that_they_are_for() -> None:
    """Those for one window, few; the general ones, nearly all."""
    for stem in KERNELS:
        kernel = fast_kernels()[stem]
        count = len(taken(stem, layers(kernel.op), M4 if kernel.needs_dsp else M0PLUS))
        is_for_one = any(name in stem for name in _ONE_WINDOW)
        assert count >= (30 if is_for_one else LAYERS * 3 // 4), (stem, count)
