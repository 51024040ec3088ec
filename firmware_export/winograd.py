"""Weights of 3x3 convolutions as Winograd's minimal filtering algorithms take them, in integers.

F(m, 3) computes m outputs of a filter of 3 taps with m + 2 multiplications:
``y = A ((G w) * (B x))``, and in two dimensions ``Y = A ((G W G') * (B X B')) A'`` (A. Lavin and
S. Gray, "Fast Algorithms for Convolutional Neural Networks", 2015, sections 4.1 and 4.3). B is
integer. G is made so by a factor for each of its rows, of which the columns of A take the inverse,
times a number that makes A integer too; the outputs are then multiplied by the square of that
number, and divided by it at the end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgecnn.ir import Array
from edgecnn.ops.conv2d import Conv2DParams

#: Filters that are computed together.
ROWS = 4
#: Taps of a side of the filters.
TAPS = 3


@dataclass(frozen=True, eq=False)
class Transforms:
    """The matrices of F(m, 3) with factors that make them integer: A (outputs, positions) with
    ``scale`` in front, B (positions, positions) and G (positions, 3)."""

    output: Array
    input: Array
    weights: Array
    scale: int


F2 = Transforms(
    output=np.array([[1, 1, 1, 0], [0, 1, -1, 1]]),
    input=np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, -1, 0, 1]]),
    weights=np.array([[2, 0, 0], [1, 1, 1], [1, -1, 1], [0, 0, 2]]),
    scale=2,
)

F4 = Transforms(
    output=np.array(
        [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 2]]
    ),
    input=np.array(
        [
            [4, 0, -5, 0, 1, 0],
            [0, -4, -4, 1, 1, 0],
            [0, 4, -4, -1, 1, 0],
            [0, -2, -1, 2, 1, 0],
            [0, 2, -1, -2, 1, 0],
            [0, 4, 0, -5, 0, 1],
        ]
    ),
    weights=np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 12]]),
    scale=24,
)


def applies(p: Conv2DParams) -> bool:
    """Whether the algorithms are for a convolution: 3x3, without strides, dilation and groups."""
    return (
        p.weights.shape[1:3] == (TAPS, TAPS)
        and (*p.stride, *p.dilation, p.groups) == (1, 1, 1, 1, 1)
        and p.input_shape[0] == 1
    )


def pair_order(channels: int) -> Array:
    """Input channels in the order of pairs of bytes (0, 2), (1, 3) of each word, filled up."""
    return np.arange(-(-channels // 4) * 4).reshape(-1, 4)[:, [0, 2, 1, 3]].reshape(-1)


def pack_weights(weights: Array, transforms: Transforms, rows: int = ROWS) -> Array:
    """(filters, 3, 3, channels) as pairs of int16: int32 (filters / rows, positions, pairs, rows).

    Filters are filled up to ``rows``, channels to fours, with zeros.
    """
    filters, _, _, channels = weights.shape
    fill = ((0, -filters % rows), (0, 0), (0, 0), (0, -channels % 4))
    filled = np.pad(weights.astype(np.int64), fill)[..., pair_order(channels)]
    g = transforms.weights
    u = np.einsum("iy,oyxc,jx->oijc", g, filled, g)
    assert np.abs(u).max() < 1 << 15
    pairs = u.reshape(len(filled) // rows, rows, len(g) ** 2, -1, 2).transpose(0, 2, 3, 1, 4)
    words = (pairs[..., 0] & 0xFFFF) | pairs[..., 1] << 16
    return words.astype(np.int32)
