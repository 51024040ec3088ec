"""Average pooling, four channels a word."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from edgecnn.ir import Graph, Node
from edgecnn.pool_operator import PoolParams
from firmware_export import distances
from firmware_export.exporters import CLayer
from firmware_export.fast_kernel import FastKernel
from firmware_export.pool_layer import pool_layer

#: Values of a window whose sum is sure to fit int16.
MAX_VALUES = 255
#: Channels that are computed together as long as there are so many.
WIDE = 8


class AveragePool2DWords(FastKernel[PoolParams]):
    """Average pooling over windows of up to 255 values."""

    op = "average_pool2d"

    def layer(self, node: Node, graph: Graph, params: PoolParams) -> CLayer | None:
        if prod(params.window.size) > MAX_VALUES:
            return None
        limits = {"activation_min": params.activation_min, "activation_max": params.activation_max}
        overlaps = distances.pooled_in_words(params, WIDE)
        return replace(pool_layer("average_pool2d_words", params, overlaps), shape=limits)


KERNEL = AveragePool2DWords()
