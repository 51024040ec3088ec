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
  2**32. Outputs are 24 times the sum S of the convolution, with pixels moved as above, modulo
  2**32, and exactly that where `layer` takes care that 24 |S| < 2**31.
- Twice the sum is the high word of the product of 24 S and (2**32 - 4) / 12, rounded: 2 S - 8 S /
  2**32, of which the second term is below a half.
- `OFFSET` on the last two pixels adds multiples of it to the last two outputs, and 128 on every
  pixel 128 times the sum of the weights to all; both are taken off the biases.
"""

from __future__ import annotations

import numpy as np

from edgecnn.fixedpoint import wrap_int32
from edgecnn.ir import Array, Graph, Node
from edgecnn.ops.conv2d import Conv2DParams
from firmware_export import blocks, distances, winograd
from firmware_export.convolution_layer import window_fields
from firmware_export.exporters import CArray, CLayer
from firmware_export.fast_kernel import FastKernel, largest_sums, rescales_fast

#: Added to the low channels of the last two pixels of a tile.
OFFSET = 2048
POSITIONS = 6
#: Of a tile, side by side.
OUTPUTS = 4
#: 24 times a sum stays below 2**31 in magnitude.
MAX_SUM = (1 << 31) // winograd.F4.scale


def offsets(weights: Array) -> Array:
    """What `OFFSET` adds to the four outputs: int64 (filters, 4)."""
    is_low = np.arange(weights.shape[3]) % 4 < 2
    taps = weights.astype(np.int64)[..., is_low].sum(axis=(1, 3))
    none = np.zeros(len(weights), np.int64)
    return np.stack([none, none, taps[:, 2], taps[:, 1] + taps[:, 2]], axis=1) * OFFSET


def largest_moved_sum(weights: Array) -> int:
    """Largest magnitude of the sums without bias, for pixels from 0 to 255 with `OFFSET`."""
    w = weights.astype(np.int64).reshape(len(weights), -1)
    low, high = (np.minimum(w, 0).sum(axis=1) * 255, np.maximum(w, 0).sum(axis=1) * 255)
    added = offsets(weights)
    return int(max((high[:, None] + added).max(), -(low[:, None] + added).min()))


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


def channel_table(p: Conv2DParams) -> CArray:
    """The table of channels that ``conv2d_winograd_rows.h`` describes."""
    moved = p.weights.astype(np.int64).reshape(len(p.weights), -1).sum(axis=1) * 128
    bias = 2 * ((p.bias.astype(np.int64) - moved)[:, None] - offsets(p.weights))
    columns = [bias[:, :1], p.multiplier[:, None], -p.shift.astype(np.int64)[:, None] - 1]
    table = wrap_int32(np.concatenate([*columns, bias[:, 2:]], axis=1)).astype(np.int32)
    return blocks.padded(
        CArray(table, "output channel; bias, multiplier, right shift less 1, last two biases")
    )


def scratch_bytes(p: Conv2DParams, tiles: int) -> int:
    """Bytes of the transformed inputs of so many tiles, and of the sums of four filters with them.

    The place of the sums is before that of the pixels of a row of a tile.
    """
    _, rows, _, channels = p.weights.shape
    depth = -(-channels // 4) * 4
    return POSITIONS * (rows * depth * 2 * tiles + max(4 * 4 * tiles, depth))


class Conv2DWinogradRows(FastKernel[Conv2DParams]):
    """3x3 convolutions without strides, dilation and groups."""

    op = "conv2d"

    def layer(self, node: Node, graph: Graph, params: Conv2DParams) -> CLayer | None:
        p = params
        if (
            not winograd.applies(p)
            or not rescales_fast(largest_sums(p.weights, p.bias), p.shift)
            or largest_moved_sum(p.weights) > MAX_SUM
        ):
            return None
        filters, rows, _, channels = p.weights.shape
        weights = pack_weights(p.weights)
        filling = weights.nbytes - 2 * POSITIONS * filters * rows * channels
        return CLayer(
            kernel="conv2d_winograd_rows",
            fields={
                "weights": CArray(
                    weights, "four filters, position, row and pair of channels, filter", filling
                ),
                "channels": channel_table(p),
            },
            shape={**window_fields(p), "output_channels": filters},
            scratch_bytes=scratch_bytes(p, 2),
            overlaps=distances.convolution(p).in_tiles((1, OUTPUTS)),
        )


KERNEL = Conv2DWinogradRows()
