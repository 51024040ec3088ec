"""Products whose rescaling takes a few instructions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgecnn.ir import Graph, Node
from edgecnn.ops.mul import MAX_PRODUCT, MulParams
from firmware_export.broadcast_layer import broadcast_layer
from firmware_export.exporters import CLayer
from firmware_export.fast_kernel import FastKernel, rescales_fast


class MulFast(FastKernel[MulParams]):
    """Products with any broadcasting; they are below 2^17, so that only the shift is limited."""

    op = "mul"

    def layer(self, node: Node, graph: Graph, params: MulParams) -> CLayer | None:
        p = params
        if not rescales_fast(np.array([MAX_PRODUCT]), np.array([p.shift])):
            return None
        layer = broadcast_layer(
            "mul_fast",
            p,
            {"input_zero_point": p.input_zero_points, "multiplier": p.multiplier},
        )
        return replace(
            layer,
            shape={
                "shift": -p.shift - 1,
                "output_zero_point": p.output_zero_point,
                "activation_min": p.activation_min,
                "activation_max": p.activation_max,
            },
        )


KERNEL = MulFast()
