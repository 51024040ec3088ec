"""The same values at another scale."""

from __future__ import annotations

from edgecnn.accumulate import MAX_OFFSET_INPUT
from edgecnn.fixedpoint import quantize_multiplier, requantize, scaling_overflows
from edgecnn.ir import Array, Attributes, Graph, Node
from edgecnn.operators import Dialect
from edgecnn.table_operator import CODES, TableOperator


class Requantize(TableOperator[Attributes]):
    """Int8 to int8; in a float network it does nothing."""

    summary = "int8 to int8"

    def function(self, attributes: Attributes, x: Array) -> Array:
        return x

    def table(self, node: Node, graph: Graph, dialect: Dialect) -> Array:
        """Rescale by the quotient of the scales, in double everywhere (``quantize_common.cc``)."""
        x, output = graph.tensors[node.inputs[0]], graph.tensors[node.output]
        multiplier, shift = quantize_multiplier(x.scale / output.scale)
        return requantize(CODES - x.zero_point, multiplier, shift, output.zero_point)

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        x, output = graph.tensors[node.inputs[0]], graph.tensors[node.output]
        if x.quant is None or output.quant is None:
            return None
        _, shift = quantize_multiplier(x.scale / output.scale)
        if scaling_overflows(MAX_OFFSET_INPUT, shift):
            return "its output scale is so small that rescaling overflows int32"
        return None


OPERATOR = Requantize()
