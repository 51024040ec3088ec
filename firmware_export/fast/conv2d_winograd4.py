"""3x3 convolutions by Winograd's F(4x4, 3x3), exact in integers.

Why the bytes are the same, with ``F4`` of `firmware_export.winograd`:

- Transformed weights fit int16: the rows of G sum to at most 12 in magnitude, so |U| <= 12 * 12 *
  128 = 18432.
- Transformed inputs fit int16: pixels are 0 to 255 after 128 is added, and those entries of the
  rows of B in two dimensions that are positive sum to at most 68, those that are negative to at
  least -50 (-4 -4 1 1 twice; 4 -5 1 twice): -12750 <= V <= 17340. `OFFSET` more, which the low
  channels have, makes that 50 to 30140: never negative, so that a word of two channels as one
  integer is at the same time a pair of int16.
- The sums wrap around modulo 2**32, as do the transforms of them: ring operations, exact modulo
  2**32. Outputs come with 24 * 24 = 9 * 2**6 in front; multiplied by the inverse of 9 modulo 2**32
  that is 2**6 times the sum of the convolution, modulo 2**32, and exactly that while it is below
  2**31: |sum| < 2**25, which `layer` asks of the weights, for pixels from 0 to 255. An arithmetic
  shift divides.
- `OFFSET` on the pixels (4, 4) to (5, 5) of the tile adds multiples of `OFFSET` to the outputs
  (2, 2) to (3, 3), which are taken off modulo 2**32 before the shift; 128 on every pixel adds 128
  times the sum of the weights, which is taken off the bias.
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

#: Added to the low channels' transformed inputs.
OFFSET = 12800
POSITIONS = 36
#: Outputs of a side of a tile.
SIDE = 4
#: Sums stay below it in magnitude.
MAX_SUM = 1 << 25


def largest_moved_sum(weights: Array) -> int:
    """Largest magnitude of the sums without bias for pixels from 0 to 255."""
    w = weights.astype(np.int64).reshape(len(weights), -1)
    both = np.maximum(np.maximum(w, 0).sum(axis=1), np.maximum(-w, 0).sum(axis=1))
    return int(both.max()) * 255


def corners(weights: Array) -> Array:
    """What takes `OFFSET` off the outputs (2, 2), (2, 3), (3, 2) and (3, 3): (filters, 4) int64.

    These are the outputs that the pixels (4, 4) to (5, 5) reach.
    """
    low = weights[..., np.arange(weights.shape[3]) % 4 < 2].astype(np.int64).sum(axis=3)
    taps = np.stack(
        [low[:, 4 - y :, 4 - x :].sum(axis=(1, 2)) for y in (2, 3) for x in (2, 3)], axis=1
    )
    return -taps * OFFSET * 64


def channel_table(p: Conv2DParams) -> CArray:
    """The table of channels that ``conv2d_winograd4.h`` describes."""
    moved = p.weights.astype(np.int64).reshape(len(p.weights), -1).sum(axis=1) * 128
    bias = 2 * (p.bias.astype(np.int64) - moved)
    columns = [bias[:, None], p.multiplier[:, None], -p.shift.astype(np.int64)[:, None] - 1]
    table = np.concatenate([*columns, corners(p.weights)], axis=1)
    wrapped = wrap_int32(table).astype(np.int32)
    return blocks.padded(
        CArray(wrapped, "output channel; bias, multiplier, right shift less 1, corners")
    )


class Conv2DWinograd4(FastKernel[Conv2DParams]):
    """3x3 convolutions without strides, dilation and groups."""

    op = "conv2d"

    def layer(self, node: Node, graph: Graph, params: Conv2DParams) -> CLayer | None:
        p = params
        if (
            not winograd.applies(p)
            or not rescales_fast(largest_sums(p.weights, p.bias), p.shift)
            or largest_moved_sum(p.weights) >= MAX_SUM
        ):
            return None
        filters, _, _, channels = p.weights.shape
        depth = -(-channels // 4) * 4
        weights = winograd.pack_weights(p.weights, winograd.F4)
        filling = weights.nbytes - 2 * POSITIONS * filters * channels
        # Sums of four filters with two tiles; before them, two halves of a word, and a tile.
        sums, tiles = POSITIONS * 8 * 4, POSITIONS * (2 * 4 + depth)
        return CLayer(
            kernel="conv2d_winograd4",
            fields={
                "weights": CArray(
                    weights, "four filters, position, pair of channels, filter", filling
                ),
                "channels": channel_table(p),
            },
            shape={**window_fields(p), "output_channels": filters},
            scratch_bytes=POSITIONS * depth * 4 + max(sums, tiles),
            overlaps=distances.convolution(p).in_tiles((SIDE, SIDE)),
        )


KERNEL = Conv2DWinograd4()
