"""Convolutions as products of blocks: four filters with two pixels, two taps an instruction."""

from __future__ import annotations

from edgecnn.ir import Graph, Node
from edgecnn.ops.conv2d import Conv2DParams
from firmware_export import blocks, distances
from firmware_export.convolution_layer import window_fields
from firmware_export.exporters import CArray, CLayer
from firmware_export.fast_kernel import FastKernel, channel_table, largest_sums, rescales_fast

#: Of the output, that are computed together.
PIXELS = 2


class Conv2DBlocked(FastKernel[Conv2DParams]):
    """Any convolution without groups."""

    op = "conv2d"
    may_be_shared = True

    def layer(self, node: Node, graph: Graph, params: Conv2DParams) -> CLayer | None:
        p = params
        filters, height, width, depth = p.weights.shape
        largest = largest_sums(p.weights, p.bias)
        if p.groups > 1 or not rescales_fast(largest, p.shift):
            return None
        rows = p.weights.reshape(filters, -1)
        order = blocks.order_of_runs(height, width * depth)
        joint = blocks.are_joint(rows, largest)
        weights = blocks.pack_rows(rows, order, joint=joint)
        table = channel_table(p.bias, p.multiplier, p.shift)
        pairs = order.size // 2
        window = distances.convolution(p)
        return CLayer(
            kernel="conv2d_blocked",
            fields={
                "weights": CArray(
                    weights,
                    "four filters, pair of taps, pair of filters, bytes",
                    weights.nbytes - rows.nbytes,
                ),
                "channels": blocks.padded(table),
            },
            shape={
                **window_fields(p),
                "output_channels": filters,
                "pairs": pairs,
                "is_joint": int(joint),
            },
            scratch_bytes=8 * pairs + max(width * depth, filters),
            overlaps=window.in_blocks(range(0, window.positions, PIXELS), PIXELS),
        )


KERNEL = Conv2DBlocked()
