"""Maximum pooling, four channels a word."""

from __future__ import annotations

from edgecnn.ir import Graph, Node
from edgecnn.pool_operator import PoolParams
from firmware_export import distances
from firmware_export.exporters import CLayer
from firmware_export.fast_kernel import FastKernel
from firmware_export.pool_layer import pool_layer

#: Channels that are computed together as long as there are so many.
WIDE = 16


class MaxPool2DWords(FastKernel[PoolParams]):
    """Any maximum pooling."""

    op = "max_pool2d"

    def layer(self, node: Node, graph: Graph, params: PoolParams) -> CLayer | None:
        return pool_layer("max_pool2d_words", params, distances.pooled_in_words(params, WIDE))


KERNEL = MaxPool2DWords()
