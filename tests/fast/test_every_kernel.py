"""Every fast kernel on every layer of a table that it can compute, on the host and its core."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from firmware_export.device.cores import Core
from firmware_export.fast_kernel import fast_kernels
from tests.fast.kernel_table import M0PLUS, M4, check_kernel, taken
from tests.fast.layer_table import LAYERS, MAKERS, layers
from tests.ops.case_table import Case, Constant

KERNELS = sorted(stem for stem, kernel in fast_kernels().items() if kernel.op in MAKERS)
#: Layers in one program.
_PART = 40


def core_of(stem: str) -> Core:
    """A core that the kernel is for."""
    return M4 if fast_kernels()[stem].needs_dsp else M0PLUS


def layers_for(stem: str) -> list[Case]:
    """The layers of the table that the kernel can compute."""
    return taken(stem, layers(fast_kernels()[stem].op), core_of(stem))


@pytest.mark.parametrize("stem", KERNELS)
def test_some_layers(stem: str, tmp_path: Path) -> None:
    check_kernel(stem, layers_for(stem)[:8], tmp_path, core=core_of(stem), samples=2)


@pytest.mark.slow
@pytest.mark.parametrize("start", range(8, LAYERS, _PART))
@pytest.mark.parametrize("stem", KERNELS)
def test_all_layers(stem: str, start: int, tmp_path: Path) -> None:
    cases = layers_for(stem)[start : start + _PART]
    if not cases:
        pytest.skip(f"{stem} is for fewer layers of the table")
    check_kernel(stem, cases, tmp_path, core=core_of(stem), samples=2)


def with_enormous_bias(case: Case) -> Case:
    """The case with one channel that is at the upper end of its range for every input."""
    x, weights, bias = case.inputs
    assert isinstance(bias, Constant)
    data = bias.data.copy()
    data[0] = 1 << 30
    return dataclasses.replace(case, inputs=[x, weights, dataclasses.replace(bias, data=data)])


@pytest.mark.parametrize("stem", KERNELS)
def test_a_channel_that_is_always_the_same_byte_may_have_any_bias(
    stem: str, tmp_path: Path
) -> None:
    biased = [case for case in layers_for(stem) if case.inputs[2] is not None]
    cases = [with_enormous_bias(case) for case in biased[:4]]
    assert taken(stem, cases, core_of(stem)) == cases
    assert len(cases) == 4
    check_kernel(stem, cases, tmp_path, core=core_of(stem), samples=2)


#: Kernels for a window of 3 x 3 only.
_ONE_WINDOW = ("winograd", "depthwise_conv2d_small")


def test_kernels_take_most_layers_that_they_are_for() -> None:
    """Those for one window, few; the general ones, nearly all."""
    for stem in KERNELS:
        count = len(layers_for(stem))
        is_for_one = any(name in stem for name in _ONE_WINDOW)
        assert count >= (30 if is_for_one else LAYERS * 3 // 4), (stem, count)
