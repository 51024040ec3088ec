from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from edgecnn.ops.depthwise_conv2d import DepthwiseConv2DAttributes
from firmware_export.device.cores import CORES, Core
from tests.fast.kernel_table import check_kernel, layer_of, taken
from tests.ops.case_table import (
    ACTIVATIONS,
    Case,
    Constant,
    Rng,
    Value,
    draw,
    draw_image,
    random_cases,
)
from tests.ops.test_depthwise_conv2d import CASES, depthwise

STEM = "depthwise_conv2d_small"
M0PLUS, M3 = CORES["cortex-m0plus"], CORES["cortex-m3"]


def extreme(name: str, weight: int, zero_point: int, output: tuple[float, int]) -> Case:
    """Weights all of one magnitude, in four patterns of signs, two for each channel."""
    signs = np.ones((4, 9), int)
    signs[1] = -1
    signs[2, ::2] = -1
    signs[3, ::3] = -1
    weights = (signs * weight).T.astype(np.int8).reshape(1, 3, 3, 4)
    inputs = (Value((1, 4, 5, 2), 0.05, zero_point), Constant(weights, (0.01,)), None)
    attributes = DepthwiseConv2DAttributes(padding=(1, 1, 1, 1))
    return Case(name, "depthwise_conv2d", inputs, attributes, output)


EXTREMES = [
    extreme(f"weights-{weight}-zero-{zero}-scale-{i}", weight, zero, (scale, out))
    for i, (scale, out) in enumerate([(0.04, -128), (0.05, 3), (0.9, 127), (0.0012, 0)])
    for weight, zero in ((127, -128), (-127, 127), (127, 0))
]


def fitting(case: Case) -> Case:
    """The case with an output range that its sums fill, and weights that any pair fits."""
    x, weights = case.inputs[:2]
    assert isinstance(x, Value)
    assert isinstance(weights, Constant)
    return dataclasses.replace(
        case,
        inputs=[x, dataclasses.replace(weights, data=np.maximum(weights.data, -127)), None],
        output=(x.scale * max(weights.scale) * 200, -11),
    )


BANDS = [
    fitting(depthwise(name, image, (3, 3), multiplier, bias=False, stride=stride, padding=padding))
    for name, image, multiplier, stride, padding in (
        ("bands", (93, 57, 1), 1, (1, 1), (1, 1, 1, 1)),
        ("bands-with-stride", (131, 120, 1), 1, (2, 2), (0, 0, 0, 0)),
        ("row", (3, 7, 2), 1, (1, 1), (0, 0, 0, 0)),
        ("pixel", (3, 3, 5), 1, (1, 1), (0, 0, 0, 0)),
        ("wide", (4, 600, 1), 2, (1, 1), (1, 1, 1, 1)),
    )
]


def random_window(rng: Rng, name: str) -> Case:
    x = draw_image(rng, int(rng.integers(1, 7)))
    image = (x.shape[1] + 2, x.shape[2] + 2, x.shape[3])
    t, b, left, right = (int(n) for n in rng.integers(0, 4, 4))
    return depthwise(
        name, image, (3, 3), draw(rng, (1, 1, 2, 3)),
        bias=bool(rng.random() < 0.5),
        per_channel=bool(rng.random() < 0.8),
        zero_point=x.zero_point,
        stride=(int(rng.integers(1, 4)), int(rng.integers(1, 4))),
        padding=draw(rng, ((0, 0, 0, 0), (1, 1, 1, 1), (t, b, left, right))),
        activation=draw(rng, ACTIVATIONS),
    )  # fmt: skip


@pytest.mark.parametrize("core", [M0PLUS, M3], ids=lambda core: core.name)
def test_cases(core: Core, tmp_path: Path) -> None:
    cases = taken(STEM, CASES, core)
    assert {"same-with-stride", "unequal-strides"} <= {case.name for case in cases}
    check_kernel(STEM, cases, tmp_path, core=core)


def test_extremes(tmp_path: Path) -> None:
    assert taken(STEM, EXTREMES, M0PLUS) == EXTREMES
    check_kernel(STEM, EXTREMES, tmp_path, core=M0PLUS, samples=8)


def test_bands(tmp_path: Path) -> None:
    assert taken(STEM, BANDS, M0PLUS) == BANDS
    check_kernel(STEM, BANDS, tmp_path, core=M0PLUS)


def test_weights_beyond_a_half_word_are_refused() -> None:
    assert layer_of(STEM, extreme("too-large", -128, 0, (0.2, 0)), M0PLUS) is None


@pytest.mark.parametrize("seed", [41])
def test_random(seed: int, tmp_path: Path) -> None:
    cases = taken(STEM, random_cases(random_window, 48, seed), M0PLUS)
    assert len(cases) > 15
    check_kernel(STEM, cases, tmp_path, core=M0PLUS)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(42, 48))
def test_many(seed: int, tmp_path: Path) -> None:
    cases = taken(STEM, random_cases(random_window, 48, seed), M3)
    check_kernel(STEM, cases, tmp_path, core=M3)
