"""Cases of 3x3 convolutions for Winograd's algorithms: random ones, and the worst."""

from __future__ import annotations

import itertools

import numpy as np

from edgecnn.ir import Array
from edgecnn.ops.conv2d import Conv2DAttributes
from firmware_export.winograd import Transforms
from tests.ops.case_table import (
    ACTIVATIONS,
    Case,
    Constant,
    Rng,
    Value,
    draw,
    draw_scale,
    draw_weighted,
    draw_zero_point,
)
from tests.ops.test_conv2d import conv

#: Convolutions that the algorithms are not for.
OTHERS = [
    conv("strides", (9, 9, 4), (4, 3, 3, 4), stride=(2, 1)),
    conv("dilation", (9, 9, 4), (4, 3, 3, 4), dilation=(1, 2)),
    conv("groups", (9, 9, 4), (4, 3, 3, 2), groups=2),
    conv("window", (9, 9, 4), (4, 3, 2, 4)),
]

#: All lengths of the loop over channels.
WIDE = [
    conv(f"{channels}-channels", (5, 9, channels), (5, 3, 3, channels), padding=(1, 1, 1, 1))
    for channels in (8, 10, 13, 16, 17, 21, 32, 37, 64)
]


def check_transforms(t: Transforms) -> None:
    """In one dimension, y[i] is the sum of w[k] x[i + k], with the scale in front."""
    for w in np.eye(3, dtype=int):
        matrix = t.output @ np.diag(t.weights @ w) @ t.input
        window = np.pad(w, (0, t.input.shape[1] - 3))
        want = [np.roll(window, i) for i in range(len(t.output))]
        np.testing.assert_array_equal(matrix, t.scale * np.stack(want))


def random_case(rng: Rng, name: str) -> Case:
    """Any small image, padding and number of channels."""
    padding = draw(rng, ((0, 0, 0, 0), (1, 1, 1, 1), tuple(int(n) for n in rng.integers(0, 5, 4))))
    height, width = (
        int(rng.integers(max(1, 3 - a - b), 14)) for a, b in (padding[:2], padding[2:])
    )
    depth, filters = int(rng.integers(1, 10)), int(rng.integers(1, 10))
    x = Value((1, height, width, depth), draw_scale(rng), draw_zero_point(rng))
    per_channel, bias = bool(rng.random() < 0.8), bool(rng.random() < 0.8)
    inputs, output = draw_weighted(
        rng, x, (filters, 3, 3, depth), 0, per_channel=per_channel, bias=bias
    )
    attributes = Conv2DAttributes(padding=padding, activation=draw(rng, ACTIVATIONS))
    return Case(name, "conv2d", inputs, attributes, output)


def outer_signs(rows: Array) -> Array:
    """For each pair of rows, the signs of their outer product: (pairs, columns, columns)."""
    return np.stack([np.sign(np.outer(a, b)) for a, b in itertools.product(rows, rows)])


def ends(signs: Array) -> Array:
    """127 for positive signs, else -128."""
    return np.where(signs > 0, 127, -128).astype(np.int8)


def worst(transforms: Transforms, channels: int) -> tuple[Case, dict[str, Array]]:
    """One tile, and its inputs, in which every transformed value is at both ends of its range.

    Filters and samples are the sign patterns that make a position largest, and smallest; samples
    alternate between the same in all channels and the opposite in the high ones of each word.
    """
    weights, images = (
        np.concatenate([signs, -signs])
        for signs in (outer_signs(transforms.weights), outer_signs(transforms.input))
    )
    high = np.where(np.arange(channels) % 4 < 2, 1, -1)
    channel_signs = np.where(np.arange(len(images))[:, None] % 2 == 0, 1, high)
    images = ends(images[..., None] * channel_signs[:, None, None, :])
    weights = ends(np.repeat(weights[..., None], channels, axis=-1))
    side = images.shape[1]
    scale = (0.01,) * len(weights)
    inputs: list[Value | Constant | None] = [
        Value((1, side, side, channels), 0.05, 127),
        Constant(weights, scale, axis=0),
        None,
    ]
    spread = 0.05 * 0.01 * 9 * channels * 128 * 255 / 256
    case = Case("worst", "conv2d", inputs, Conv2DAttributes(), (spread, -1))
    return case, {"worst/0": images[:, None]}
