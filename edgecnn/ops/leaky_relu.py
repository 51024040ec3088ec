"""Leaky rectifier: x where it is positive, alpha x elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgecnn.accumulate import MAX_OFFSET_INPUT
from edgecnn.fixedpoint import (
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    saturate_int8,
    scaling_overflows,
)
from edgecnn.ir import Array, Attributes, Graph, Node
from edgecnn.operators import Dialect
from edgecnn.table_operator import CODES, TableOperator


@dataclass(frozen=True)
class LeakyReluAttributes(Attributes):
    """The slope on the negative side."""

    alpha: float = 0.01


class LeakyRelu(TableOperator[LeakyReluAttributes]):
    """Leaky ReLU."""

    attributes = LeakyReluAttributes
    summary = "slopes under 0 are tables"

    def is_homogeneous(self, attributes: LeakyReluAttributes) -> bool:
        return True

    def function(self, attributes: LeakyReluAttributes, x: Array) -> Array:
        return np.where(x > 0, x, attributes.alpha * x)

    def table(self, node: Node, graph: Graph, dialect: Dialect) -> Array:
        """Rescale each side by a multiplier of its own (``leaky_relu.h``)."""
        x, output = graph.tensors[node.inputs[0]], graph.tensors[node.output]
        centred = CODES - x.zero_point
        (m1, s1), (m2, s2) = _multipliers(node, graph)
        scaled = np.where(
            centred >= 0,
            multiply_by_quantized_multiplier(np.maximum(centred, 0), m1, s1),
            multiply_by_quantized_multiplier(np.minimum(centred, 0), m2, s2),
        )
        return saturate_int8(scaled + output.zero_point)

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        a = node.attributes
        assert isinstance(a, LeakyReluAttributes)
        if not 0 <= a.alpha < np.inf:
            return f"its slope is {a.alpha}; only finite slopes from 0 up are supported"
        if graph.tensors[node.output].quant is None:
            return None
        if any(scaling_overflows(MAX_OFFSET_INPUT, s) for _, s in _multipliers(node, graph)):
            return "its output scale is so small that rescaling overflows int32"
        return None


def _multipliers(node: Node, graph: Graph) -> tuple[tuple[int, int], tuple[int, int]]:
    """Multiplier and shift of positive and of negative values; quotients in float32."""
    a = node.attributes
    assert isinstance(a, LeakyReluAttributes)
    x, output = (np.float32(graph.tensors[n].scale) for n in (node.inputs[0], node.output))
    slope = np.float32(a.alpha)
    return quantize_multiplier(float(x / output)), quantize_multiplier(float(x * slope / output))


OPERATOR = LeakyRelu()
