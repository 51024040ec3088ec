from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.ops.transpose_conv2d import TransposeConv2DAttributes
from edgecnn.windows import transpose_start
from tests.ops.case_table import (
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

#: Those that are written as an operator of their own, where they change anything.
ACTIVATIONS = ("none", "relu", "relu6")


def conv(
    name: str,
    image: tuple[int, int, int],
    weights: tuple[int, int, int, int],
    size: tuple[int, int],
    *,
    bias: bool = True,
    per_channel: bool = True,
    zero_point: int = -7,
    **attributes: Any,
) -> Case:
    """A transposed convolution over (height, width, channels) with (O, KH, KW, I) weights."""
    rng = np.random.default_rng(sum(name.encode()))
    x = Value((1, *image), 0.03, zero_point)
    inputs, output = draw_weighted(rng, x, weights, 0, per_channel=per_channel, bias=bias)
    return Case(
        name, "transpose_conv2d", inputs, TransposeConv2DAttributes(size, **attributes), output
    )


CASES = [
    conv("pointwise", (5, 4, 3), (7, 1, 1, 3), (5, 4)),
    conv("valid", (3, 4, 2), (3, 3, 2, 2), (5, 5)),
    conv("twice-as-large", (3, 4, 3), (4, 2, 2, 3), (6, 8), stride=(2, 2)),
    conv("same", (3, 4, 2), (3, 3, 3, 2), (6, 8), stride=(2, 2), start=(0, 0)),
    conv("same-of-four-taps", (3, 4, 2), (3, 4, 4, 2), (6, 8), stride=(2, 2), start=(1, 1)),
    conv("same-stride-one", (4, 5, 2), (3, 3, 3, 2), (4, 5), start=(1, 1)),
    conv("torch-start", (3, 4, 2), (3, 3, 3, 2), (6, 8), stride=(2, 2), start=(1, 1)),
    conv("cut-unevenly", (3, 4, 2), (3, 4, 3, 2), (5, 6), stride=(2, 2), start=(2, 0)),
    conv("stride-over-kernel", (3, 2, 2), (3, 2, 1, 2), (9, 8), stride=(3, 4)),
    conv("rows-of-bias-at-the-end", (2, 2, 2), (3, 2, 2, 2), (7, 6), stride=(4, 3)),
    conv("cut-at-the-end", (4, 4, 2), (3, 3, 3, 2), (5, 4), stride=(2, 2)),
    conv("one-row", (1, 9, 3), (2, 1, 4, 3), (1, 18), stride=(1, 2), start=(0, 1)),
    conv("one-pixel", (1, 1, 5), (4, 4, 4, 5), (4, 4)),
    conv("no-bias", (3, 4, 2), (3, 3, 3, 2), (7, 9), stride=(2, 2), bias=False),
    conv("one-scale", (3, 4, 2), (3, 3, 3, 2), (7, 9), stride=(2, 2), per_channel=False),
    conv("zero-point-at-the-bottom", (3, 4, 2), (3, 3, 3, 2), (5, 6), zero_point=-128),
    *(
        conv(f"fused-{a}", (4, 4, 3), (8, 2, 2, 3), (8, 8), stride=(2, 2), activation=a)
        for a in ACTIVATIONS
    ),
]


def random_case(rng: Rng, name: str) -> Case:
    x = draw_image(rng, int(rng.integers(1, 5)), 1, 5)
    kh, kw, sh, sw = (int(n) for n in rng.integers(1, 5, 4))
    kernel, stride = (kh, kw), (sh, sw)
    whole = ((x.shape[1] - 1) * sh + kh, (x.shape[2] - 1) * sw + kw)
    size = draw(
        rng,
        (
            whole,
            (x.shape[1] * sh, x.shape[2] * sw),
            (max(1, whole[0] + int(rng.integers(-2, 3))), whole[1]),
        ),
    )
    start = draw(
        rng, ((0, 0), transpose_start(size, kernel, stride), tuple(map(int, rng.integers(0, 3, 2))))
    )
    attributes = TransposeConv2DAttributes(size, stride, start, draw(rng, ACTIVATIONS))
    shape = (int(rng.integers(1, 6)), *kernel, x.shape[3])
    per_channel, bias = bool(rng.random() < 0.8), bool(rng.random() < 0.8)
    inputs, output = draw_weighted(rng, x, shape, 0, per_channel=per_channel, bias=bias)
    return Case(name, "transpose_conv2d", inputs, attributes, output)


def test_refuses_asymmetric_weights() -> None:
    case = conv("tiny", (4, 4, 2), (3, 2, 2, 2), (5, 5))
    x, weights, bias = case.inputs
    assert isinstance(weights, Constant)
    shifted = dataclasses.replace(weights, zero_point=1)
    assert "zero point" in (problem(dataclasses.replace(case, inputs=[x, shifted, bias])) or "")


def test_refuses_a_rescaling_that_overflows() -> None:
    case = conv("tiny", (4, 4, 2), (3, 2, 2, 2), (5, 5))
    assert problem(case) is None
    assert "overflows int32" in (problem(dataclasses.replace(case, output=(1e-9, 0))) or "")


def test_cases(tmp_path: Path) -> None:
    check(CASES, tmp_path)


def test_random(tmp_path: Path) -> None:
    check(random_cases(random_case, 48, 1), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 7))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check(random_cases(random_case, 48, seed), tmp_path, seed=seed)


def test_refuses_more_rows_than_a_stride() -> None:
    case = conv("long", (4, 4, 2), (3, 2, 2, 2), (9, 5))
    assert "beyond its 4 inputs" in (problem(case) or "")


def test_refuses_other_activations() -> None:
    case = conv("x", (4, 4, 3), (8, 2, 2, 3), (8, 8), stride=(2, 2), activation="relu_n1_to_1")
    assert "only relu and relu6" in (problem(case) or "")
