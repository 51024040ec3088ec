from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from edgecnn.convolution_operator import window_of
from edgecnn.ops.conv2d import Conv2DAttributes
from edgecnn.windows import same_padding
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


def conv(
    name: str,
    image: tuple[int, int, int],
    weights: tuple[int, int, int, int],
    *,
    bias: bool = True,
    per_channel: bool = True,
    zero_point: int = -7,
    **attributes: object,
) -> Case:
    """A convolution over (height, width, channels) with (O, KH, KW, I) weights."""
    rng = np.random.default_rng(sum(name.encode()))
    x = Value((1, *image), 0.03, zero_point)
    inputs, output = draw_weighted(rng, x, weights, 0, per_channel=per_channel, bias=bias)
    return Case(name, "conv2d", inputs, Conv2DAttributes(**attributes), output)  # type: ignore[arg-type]


CASES = [
    conv("pointwise", (5, 4, 3), (7, 1, 1, 3)),
    conv("valid", (8, 5, 2), (3, 4, 2, 2)),
    conv("same", (5, 7, 2), (3, 3, 3, 2), padding=(1, 1, 1, 1)),
    conv(
        "same-with-odd-row-at-the-end", (6, 6, 1), (2, 3, 3, 1), stride=(2, 2), padding=(0, 1, 0, 1)
    ),
    conv(
        "torch-padding-that-same-cannot-say",
        (6, 6, 1),
        (2, 3, 3, 1),
        stride=(2, 2),
        padding=(1, 1, 1, 1),
    ),
    conv("lopsided-padding", (4, 5, 2), (2, 3, 2, 2), padding=(2, 0, 0, 3)),
    conv("one-by-n", (1, 30, 4), (3, 1, 8, 4), stride=(1, 2)),
    conv("n-by-one", (30, 1, 4), (3, 8, 1, 4), stride=(2, 1), padding=(3, 4, 0, 0)),
    conv("dilated", (9, 9, 2), (2, 3, 3, 2), dilation=(2, 3), padding=(2, 2, 3, 3)),
    conv("two-groups", (5, 5, 4), (6, 3, 3, 2), groups=2),
    conv("groups-of-one-channel", (5, 5, 3), (6, 2, 2, 1), groups=3),
    conv("kernel-as-large-as-image", (4, 3, 5), (9, 4, 3, 5)),
    conv("stride-over-kernel", (9, 9, 1), (2, 1, 2, 1), stride=(3, 4)),
    conv("no-bias", (4, 4, 2), (3, 2, 2, 2), bias=False),
    conv("one-scale", (4, 4, 2), (3, 2, 2, 2), per_channel=False),
    conv(
        "zero-point-at-the-bottom", (5, 5, 3), (3, 3, 3, 3), padding=(1, 1, 1, 1), zero_point=-128
    ),
    *(conv(f"fused-{a}", (4, 4, 3), (8, 1, 1, 3), activation=a) for a in ACTIVATIONS),
]


def random_conv(rng: Rng, name: str) -> Case:
    groups = draw(rng, (1, 1, 1, 2, 3))
    depth, filters = int(rng.integers(1, 5)), int(rng.integers(1, 4))
    x = draw_image(rng, groups * depth)
    height, width = x.shape[1:3]
    size = (min(height, int(rng.integers(1, 5))), min(width, int(rng.integers(1, 5))))
    weights = (groups * filters, *size, depth)
    stride = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
    dilation = (draw(rng, (1, 1, 2, 3)), draw(rng, (1, 1, 2, 3)))
    t, b, left, right = (int(n) for n in rng.integers(0, 4, 4))
    same = same_padding((height, width), size, stride, dilation)
    padding = draw(rng, ((0, 0, 0, 0), same, (t, b, left, right)))
    attributes = Conv2DAttributes(
        stride, padding, dilation, groups, activation=draw(rng, ACTIVATIONS)
    )
    if min(window_of(attributes, weights).output_size(height, width)) < 1:
        return random_conv(rng, name)
    per_channel, bias = bool(rng.random() < 0.8), bool(rng.random() < 0.8)
    inputs, output = draw_weighted(rng, x, weights, 0, per_channel=per_channel, bias=bias)
    return Case(name, "conv2d", inputs, attributes, output)


def test_cases(tmp_path: Path) -> None:
    check(CASES, tmp_path)


def test_random(tmp_path: Path) -> None:
    check(random_cases(random_conv, 48, 1), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 7))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check(random_cases(random_conv, 48, seed), tmp_path, seed=seed)


def test_any_number_of_groups(tmp_path: Path) -> None:
    """From one to as many as channels, one or several of each to a group."""
    cases = [
        conv(
            f"{groups}-groups-of-{depth}-to-{filters}",
            (4, 3, groups * depth),
            (groups * filters, 3, 2, depth),
            groups=groups,
            padding=(1, 1, 0, 1),
        )
        for groups in (1, 2, 3, 4, 5, 7, 8, 12, 16, 24, 32)
        for depth, filters in ((1, 1), (1, 3), (2, 1), (3, 2), (4, 4))
    ]
    check(cases, tmp_path, samples=2)


def test_refuses_a_rescaling_that_overflows() -> None:
    case = conv("tiny", (4, 4, 2), (3, 2, 2, 2))
    assert problem(case) is None
    assert "overflows int32" in (problem(dataclasses.replace(case, output=(1e-9, 0))) or "")


def test_refuses_sums_that_overflow() -> None:
    case = conv("tiny", (4, 4, 2), (3, 2, 2, 2))
    x, weights, _ = case.inputs
    assert isinstance(weights, Constant)
    bias = Constant(np.full(3, 2**31 - 1, np.int32), (0.01,))
    overflowing = dataclasses.replace(case, inputs=[x, weights, bias])
    assert "accumulator" in (problem(overflowing) or "")


def test_refuses_asymmetric_weights() -> None:
    case = conv("tiny", (4, 4, 2), (3, 2, 2, 2))
    x, weights, bias = case.inputs
    assert isinstance(weights, Constant)
    shifted = dataclasses.replace(weights, zero_point=1)
    assert "zero point" in (problem(dataclasses.replace(case, inputs=[x, shifted, bias])) or "")
