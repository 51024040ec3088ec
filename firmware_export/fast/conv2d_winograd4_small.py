"""3x3 convolutions by Winograd's F(4x4, 3x3) on cores without DSP instructions.

Exact for the reasons that `firmware_export.fast.conv2d_winograd4` gives.
"""

from __future__ import annotations

import numpy as np

from edgecnn.fixedpoint import wrap_int32
from edgecnn.ir import Graph, Node
from edgecnn.ops.conv2d import Conv2DParams
from firmware_export import distances, small, winograd
from firmware_export.convolution_layer import window_fields
from firmware_export.exporters import CArray, CLayer
from firmware_export.fast.conv2d_winograd4 import (
    MAX_SUM,
    POSITIONS,
    SIDE,
    corners,
    largest_moved_sum,
)
from firmware_export.fast_kernel import FastKernel, largest_sums

#: Filters that are computed together.
ROWS = 2


class Conv2DWinograd4Small(FastKernel[Conv2DParams]):
    """3x3 convolutions without strides, dilation and groups."""

    op = "conv2d"
    needs_dsp = False

    def layer(self, node: Node, graph: Graph, params: Conv2DParams) -> CLayer | None:
        p = params
        if not winograd.applies(p) or largest_moved_sum(p.weights) >= MAX_SUM:
            return None
        filters, _, _, channels = p.weights.shape
        rescaling = small.rescaling(
            largest_sums(p.weights, p.bias), p.bias, p.multiplier, p.shift, p.output_zero_point
        )
        if rescaling is None:
            return None
        depth = -(-channels // 4) * 4
        moved = p.weights.astype(np.int64).reshape(filters, -1).sum(axis=1) * 128
        bias = (rescaling.bias.data - moved).astype(np.int32)
        weights = winograd.pack_weights(p.weights, winograd.F4, ROWS)
        filling = weights.nbytes - 2 * POSITIONS * filters * channels
        # Sums of two filters with two tiles; before them, two halves of a word, and a tile.
        sums, tiles = POSITIONS * 4 * 4, POSITIONS * (2 * 4 + depth)
        return CLayer(
            kernel="conv2d_winograd4_small",
            fields={
                "weights": CArray(
                    weights, "two filters, position, pair of channels, filter", filling
                ),
                "bias": CArray(bias, rescaling.bias.layout),
                "scales": rescaling.scales,
                "corners": CArray(
                    wrap_int32(corners(p.weights)).astype(np.int32), "channel, output at a corner"
                ),
            },
            shape={**window_fields(p), "output_channels": filters, **rescaling.shape},
            scratch_bytes=POSITIONS * depth * 4 + max(sums, tiles),
            overlaps=distances.convolution(p).in_tiles((SIDE, SIDE)),
        )


KERNEL = Conv2DWinograd4Small()
