"""Differences of tensors of one shape as straight lines; see `add_linear`."""

from __future__ import annotations

from edgecnn.binary_operator import ScaledParams
from edgecnn.ir import Graph, Node
from firmware_export.exporters import CLayer
from firmware_export.fast.add_linear import linear_layer
from firmware_export.fast_kernel import FastKernel


class SubLinear(FastKernel[ScaledParams]):
    """Differences without broadcasting whose rounding a straight line meets."""

    op = "sub"

    def layer(self, node: Node, graph: Graph, params: ScaledParams) -> CLayer | None:
        return linear_layer("sub", -1, node, graph, params)


KERNEL = SubLinear()
