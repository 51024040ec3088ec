"""3x3 convolutions by Winograd's F(4, 3) along rows, one tile at a time.

Sums and proof are those of `firmware_export.fast.conv2d_winograd_rows`. Half of its working memory
holds the transformed inputs; each weight that is loaded is for one product instead of two.
"""

from __future__ import annotations

from dataclasses import replace

from edgecnn.ir import Graph, Node
from edgecnn.ops.conv2d import Conv2DParams
from firmware_export import distances
from firmware_export.exporters import CLayer
from firmware_export.fast import conv2d_winograd_rows as rows
from firmware_export.fast_kernel import FastKernel


class Conv2DWinogradTile(FastKernel[Conv2DParams]):
    """3x3 convolutions without strides, dilation and groups."""

    op = "conv2d"

    def layer(self, node: Node, graph: Graph, params: Conv2DParams) -> CLayer | None:
        layer = rows.KERNEL.layer(node, graph, params)
        if layer is None:
            return None
        return replace(
            layer,
            kernel="conv2d_winograd_tile",
            scratch_bytes=rows.scratch_bytes(params, 1),
            overlaps=distances.convolution(params).in_tiles((1, rows.OUTPUTS), 1),
        )


KERNEL = Conv2DWinogradTile()
