from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgecnn.ops.conv2d import Conv2DAttributes
from firmware_export.device.cores import CORES, Core
from tests.fast.kernel_table import check_kernel, layer_of, taken
from tests.ops.case_table import Case, Constant, Value, random_cases
from tests.ops.test_conv2d import CASES, random_conv

STEM = "conv2d_small"
M0PLUS, M3 = CORES["cortex-m0plus"], CORES["cortex-m3"]


def extreme(name: str, weight: int, zero_point: int, output: tuple[float, int]) -> Case:
    """A 3 x 3 convolution whose weights are all of one magnitude, in five patterns of signs."""
    depth = 5
    signs = np.ones((5, 9 * depth), int)
    signs[1] = -1
    signs[2, ::2] = -1
    signs[3, 1::2] = -1
    signs[4, ::3] = -1
    weights = np.clip(signs * weight, -128, 127).astype(np.int8).reshape(5, 3, 3, depth)
    inputs = (Value((1, 5, 6, depth), 0.05, zero_point), Constant(weights, (0.01,)), None)
    return Case(name, "conv2d", inputs, Conv2DAttributes(padding=(1, 1, 1, 1)), output)


EXTREMES = [
    extreme(f"weights-{weight}-zero-{zero}-scale-{i}", weight, zero, (scale, out))
    for i, (scale, out) in enumerate([(0.2, -128), (0.3, 3), (1.5, 127), (0.002, 0)])
    for weight, zero in ((127, -128), (-127, 127), (127, 0))
]


@pytest.mark.parametrize("core", [M0PLUS, M3], ids=lambda core: core.name)
def test_cases(core: Core, tmp_path: Path) -> None:
    cases = taken(STEM, CASES, core)
    assert {"pointwise", "dilated", "one-by-n", "n-by-one"} <= {case.name for case in cases}
    check_kernel(STEM, cases, tmp_path, core=core)


def test_extremes(tmp_path: Path) -> None:
    assert taken(STEM, EXTREMES, M0PLUS) == EXTREMES
    check_kernel(STEM, EXTREMES, tmp_path, core=M0PLUS, samples=8)


def test_pairs_of_weights_beyond_a_half_word_are_refused() -> None:
    assert layer_of(STEM, extreme("too-large", -128, 0, (0.2, 0)), M0PLUS) is None


@pytest.mark.parametrize("seed", [21])
def test_random(seed: int, tmp_path: Path) -> None:
    cases = taken(STEM, random_cases(random_conv, 48, seed), M0PLUS)
    assert len(cases) > 15
    check_kernel(STEM, cases, tmp_path, core=M0PLUS)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(22, 28))
def test_many(seed: int, tmp_path: Path) -> None:
    cases = taken(STEM, random_cases(random_conv, 48, seed), M3)
    check_kernel(STEM, cases, tmp_path, core=M3)
