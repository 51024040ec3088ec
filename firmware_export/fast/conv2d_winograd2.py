"""3x3 convolutions by Winograd's F(2x2, 3x3), exact in integers.

Why the bytes are the same, with ``F2`` of `firmware_export.winograd`: the rows of G sum to at most
3 in magnitude and those of B to 2, so transformed weights, at most 3 * 3 * 128 = 1152, and
transformed inputs, at most 2 * 2 * 128 = 512, fit int16. Sums wrap around modulo 2**32, as do the
transforms of them, which give 4 times the sum of the convolution: exactly that, since `layer` asks
for |sum| < 2**29. An arithmetic shift divides.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgecnn.ir import Graph, Node
from edgecnn.ops.conv2d import Conv2DParams
from firmware_export import blocks, distances, winograd
from firmware_export.convolution_layer import window_fields
from firmware_export.exporters import CArray, CLayer
from firmware_export.fast_kernel import FastKernel, channel_table, largest_sums, rescales_fast

POSITIONS = 16
#: Outputs of a side of a tile.
SIDE = 2
#: Sums stay below it in magnitude.
MAX_SUM = 1 << 29


class Conv2DWinograd2(FastKernel[Conv2DParams]):
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
        filters, _, _, channels = p.weights.shape
        depth = -(-channels // 4) * 4
        weights = winograd.pack_weights(p.weights, winograd.F2)
        filling = weights.nbytes - 2 * POSITIONS * filters * channels
        table = channel_table(2 * p.bias.astype(np.int64), p.multiplier, p.shift)
        # Sums of four filters with two tiles; before them, two halves of a word, and a tile.
        sums, tiles = POSITIONS * 8 * 4, POSITIONS * (2 * 4 + depth)
        return CLayer(
            kernel="conv2d_winograd2",
            fields={
                "weights": CArray(
                    weights, "four filters, position, pair of channels, filter", filling
                ),
                "channels": blocks.padded(
                    replace(
                        table,
                        layout="output channel; twice the bias, multiplier, right shift less 1",
                    )
                ),
            },
            shape={**window_fields(p), "output_channels": filters},
            scratch_bytes=POSITIONS * depth * 4 + max(sums, tiles),
            overlaps=distances.convolution(p).in_tiles((SIDE, SIDE)),
        )


KERNEL = Conv2DWinograd2()
