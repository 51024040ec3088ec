from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from edgecnn.ops.depthwise_conv2d import DepthwiseConv2DAttributes
from edgecnn.windows import Window, same_padding
from tests.ops.case_table import (
    ACTIVATIONS,
    Case,
    Constant,
    Rng,
    Value,
    check,
    draw,
    draw_image,
    draw_weighted,
    problem,
    random_cases,
)


def depthwise(
    name: str,
    image: tuple[int, int, int],
    size: tuple[int, int],
    multiplier: int = 1,
    *,
    bias: bool = True,
    per_channel: bool = True,
    zero_point: int = 9,
    **attributes: object,
) -> Case:
    """A depthwise convolution over (height, width, channels)."""
    rng = np.random.default_rng(sum(name.encode()))
    x = Value((1, *image), 0.03, zero_point)
    weights = (1, *size, image[2] * multiplier)
    inputs, output = draw_weighted(rng, x, weights, 3, per_channel=per_channel, bias=bias)
    a = DepthwiseConv2DAttributes(**attributes)  # type: ignore[arg-type]
    return Case(name, "depthwise_conv2d", inputs, a, output)


CASES = [
    depthwise("valid", (7, 6, 3), (3, 3)),
    depthwise("same", (7, 6, 8), (3, 3), padding=(1, 1, 1, 1)),
    depthwise("same-with-stride", (8, 8, 4), (3, 3), stride=(2, 2), padding=(0, 1, 0, 1)),
    depthwise(
        "torch-padding-that-same-cannot-say", (8, 8, 4), (3, 3), stride=(2, 2), padding=(1, 1, 1, 1)
    ),
    depthwise("unequal-strides", (9, 9, 2), (3, 3), stride=(1, 2)),
    depthwise("depth-multiplier", (5, 5, 3), (2, 3), 4),
    depthwise("depth-multiplier-of-one-channel", (10, 6, 1), (4, 3), 8, padding=(1, 2, 1, 1)),
    depthwise("dilated", (9, 9, 3), (3, 3), dilation=(2, 3), padding=(2, 2, 3, 3)),
    depthwise("one-by-n", (1, 40, 3), (1, 9), padding=(0, 0, 4, 4)),
    depthwise("no-bias", (4, 4, 3), (2, 2), bias=False),
    depthwise("one-scale", (4, 4, 3), (2, 2), per_channel=False),
    depthwise("zero-point-at-the-top", (5, 5, 3), (3, 3), padding=(1, 1, 1, 1), zero_point=127),
    *(depthwise(f"fused-{a}", (4, 4, 8), (1, 1), activation=a) for a in ACTIVATIONS),
]


def random_depthwise(rng: Rng, name: str) -> Case:
    channels, multiplier = int(rng.integers(1, 7)), draw(rng, (1, 1, 1, 2, 3, 8))
    x = draw_image(rng, channels)
    height, width = x.shape[1:3]
    size = (min(height, int(rng.integers(1, 5))), min(width, int(rng.integers(1, 5))))
    stride = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
    dilation = (draw(rng, (1, 1, 2, 3)), draw(rng, (1, 1, 2, 3)))
    t, b, left, right = (int(n) for n in rng.integers(0, 4, 4))
    same = same_padding((height, width), size, stride, dilation)
    padding = draw(rng, ((0, 0, 0, 0), same, (t, b, left, right)))
    if min(Window(size, stride, padding, dilation).output_size(height, width)) < 1:
        return random_depthwise(rng, name)
    inputs, output = draw_weighted(
        rng,
        x,
        (1, *size, channels * multiplier),
        3,
        per_channel=bool(rng.random() < 0.8),
        bias=bool(rng.random() < 0.8),
    )
    attributes = DepthwiseConv2DAttributes(
        stride, padding, dilation, activation=draw(rng, ACTIVATIONS)
    )
    return Case(name, "depthwise_conv2d", inputs, attributes, output)


def test_cases(tmp_path: Path) -> None:
    check(CASES, tmp_path)


def test_random(tmp_path: Path) -> None:
    check(random_cases(random_depthwise, 48, 1), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 7))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check(random_cases(random_depthwise, 48, seed), tmp_path, seed=seed)


def test_refuses_a_rescaling_that_overflows() -> None:
    case = depthwise("tiny", (4, 4, 2), (2, 2))
    assert problem(case) is None
    assert "overflows int32" in (problem(dataclasses.replace(case, output=(1e-9, 0))) or "")


def test_refuses_sums_that_overflow() -> None:
    case = depthwise("tiny", (4, 4, 2), (2, 2))
    x, weights, _ = case.inputs
    assert isinstance(weights, Constant)
    bias = Constant(np.full(2, 2**31 - 1, np.int32), (0.01,))
    overflowing = dataclasses.replace(case, inputs=[x, weights, bias])
    assert "accumulator" in (problem(overflowing) or "")


def test_refuses_asymmetric_weights() -> None:
    case = depthwise("tiny", (4, 4, 2), (2, 2))
    x, weights, bias = case.inputs
    assert isinstance(weights, Constant)
    shifted = dataclasses.replace(weights, zero_point=1)
    assert "zero point" in (problem(dataclasses.replace(case, inputs=[x, shifted, bias])) or "")
