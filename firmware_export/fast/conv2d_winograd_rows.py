"""3x3 convolutions by Winograd's F(4, 3) along rows only, exact in integers.

A tile is four outputs of one row, so that it serves layers that are computed row by row, where
tiles of several rows would be computed for one row of them. Why the bytes are the same, with
``F4`` of `firmware_export.winograd`:

- Transformed weights fit int16: the rows of G sum to at most 12 in magnitude, so |U| <= 12 * 128 =
  1536.
- Transformed inputs fit int16: pixels are 0 to 255 after 128 is added, and the positive entries of
  the rows of B sum to at most 5, the negative ones to at least -8: -2040 <= V <= 1275. `OFFSET`
  more, which the low channels have, makes that 8 to 3323: never negative, so that a word of two
  channels as one integer is at the same time a pair of int16.
- The sums wrap around modulo 2**32, as do the transforms of them: ring operations, exact modulo
  2**32. They begin with what `starts` gives, which takes off what pixels of 128 and `OFFSET` add,
  and adds 24 times the bias by way of the position that reaches every output once. Outputs are then
  24 times the sum of the convolution; multiplied by the inverse of 3 modulo 2**32 that is 8 times
  the sum, modulo 2**32, and exactly that while it is below 2**31: |sum| < 2**28, which `layer` asks
  of weights and bias. An arithmetic shift leaves twice the sum.
"""

from __future__ import annotations

import numpy as np

from edgecnn.fixedpoint import wrap_int32
from edgecnn.ir import Array, Graph, Node
from edgecnn.ops.conv2d import Conv2DParams
from firmware_export import blocks, winograd
from firmware_export.convolution_layer import window_fields
from firmware_export.exporters import CArray, CLayer
from firmware_export.fast_kernel import FastKernel, largest_sums, rescales_fast

#: Added to the low channels of the last two pixels of a tile.
OFFSET = 2048
POSITIONS = 6
#: The position that has the factor 1 in every output.
_EVERYWHERE = 1
#: Sums stay below it in magnitude.
MAX_SUM = 1 << 28


def transformed(weights: Array) -> Array:
    """(filters, 3, 3, channels) along rows: int64 (filters, positions, 3, channels)."""
    return np.einsum("jx,oyxc->ojyc", winograd.F4.weights, weights.astype(np.int64))


def filled(weights: Array) -> Array:
    """With zeros up to whole fours of filters and channels."""
    return np.pad(weights, ((0, -len(weights) % 4), (0, 0), (0, 0), (0, -weights.shape[3] % 4)))


def pack_weights(weights: Array) -> Array:
    """Transformed weights as pairs of int16: int32 (filters / 4, positions, 3 * pairs, 4)."""
    u = transformed(filled(weights)[..., winograd.pair_order(weights.shape[3])])
    assert np.abs(u).max() < 1 << 15
    pairs = u.reshape(len(u) // 4, 4, POSITIONS, -1, 2).transpose(0, 2, 3, 1, 4)
    return ((pairs[..., 0] & 0xFFFF) | pairs[..., 1] << 16).astype(np.int32)


def starts(weights: Array, bias: Array) -> Array:
    """What the sums begin with: int32 (filters / 4, positions, 4)."""
    is_low = np.arange(weights.shape[3]) % 4 < 2
    is_last = np.arange(POSITIONS) >= 4
    moved = winograd.F4.input @ (128 + OFFSET * np.outer(is_last, is_low))
    begin = -np.einsum("ojyc,jc->oj", transformed(weights), moved)
    begin[:, _EVERYWHERE] += winograd.F4.scale * bias.astype(np.int64)
    blocked = np.pad(begin, ((0, -len(begin) % 4), (0, 0))).reshape(-1, 4, POSITIONS)
    return wrap_int32(blocked.transpose(0, 2, 1)).astype(np.int32)


def channel_table(p: Conv2DParams) -> CArray:
    """Multipliers and right shifts, less 1: (channels, 2) int32."""
    table = np.stack([p.multiplier, -p.shift.astype(np.int64) - 1], axis=1).astype(np.int32)
    return blocks.padded(CArray(table, "output channel; multiplier, right shift less 1"))


class Conv2DWinogradRows(FastKernel[Conv2DParams]):
    """3x3 convolutions without strides, dilation and groups."""

    op = "conv2d"

    def layer(self, node: Node, graph: Graph, params: Conv2DParams) -> CLayer | None:
        p = params
        largest = largest_sums(p.weights, p.bias)
        if (
            not winograd.applies(p)
            or not rescales_fast(largest, p.shift)
            or int(largest.max()) >= MAX_SUM
        ):
            return None
        filters, rows, _, channels = p.weights.shape
        depth = -(-channels // 4) * 4
        weights, begin = pack_weights(p.weights), starts(p.weights, p.bias)
        filling = weights.nbytes - 2 * POSITIONS * filters * rows * channels
        # Sums of four filters with two tiles; before them, the pixels of a row of a tile.
        return CLayer(
            kernel="conv2d_winograd_rows",
            fields={
                "weights": CArray(
                    weights, "four filters, position, row and pair of channels, filter", filling
                ),
                "starts": CArray(
                    begin,
                    "four filters, position, filter",
                    begin.nbytes - 4 * POSITIONS * filters,
                ),
                "channels": channel_table(p),
            },
            shape={**window_fields(p), "output_channels": filters},
            scratch_bytes=POSITIONS * rows * depth * 4 + POSITIONS * max(8 * 4, depth),
        )


KERNEL = Conv2DWinogradRows()
