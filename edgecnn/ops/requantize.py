"""The same values at another scale, or in another width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.accumulate import MAX_OFFSET_INPUT, MAX_WIDE_INPUT
from edgecnn.fixedpoint import code_limits, quantize_multiplier, requantize, scaling_overflows
from edgecnn.ir import INT8, INT16, Array, Attributes, Graph, Node, Shape
from edgecnn.operators import Dialect, Operator
from edgecnn.table_operator import CODES, TableParams, look_up


@dataclass(frozen=True)
class RequantizeParams:
    """Integers of a conversion from or to int16: ``size`` values of ``input_dtype``."""

    size: int
    input_dtype: str
    output_dtype: str
    multiplier: int
    shift: int
    input_zero_point: int
    output_zero_point: int


class Requantize(Operator[Attributes, TableParams | RequantizeParams]):
    """Int8 or int16 to int8 or int16; in a float network it does nothing.

    int8 to int8 is a table. All runtimes divide the scales in double (``quantize_common.cc``).
    """

    summary = "int8 and int16 to int8 and int16"
    is_elementwise = True
    has_wide_form = True

    def infer_shapes(self, attributes: Attributes, shapes: Sequence[Shape]) -> tuple[Shape, ...]:
        return (shapes[0],)

    def evaluate_float(
        self, attributes: Attributes, inputs: Sequence[Array | None]
    ) -> tuple[Array, ...]:
        (x,) = inputs
        assert x is not None
        return (x,)

    def lower(self, node: Node, graph: Graph, dialect: Dialect) -> TableParams | RequantizeParams:
        x, output = graph.tensors[node.inputs[0]], graph.tensors[node.output]
        multiplier, shift = quantize_multiplier(x.scale / output.scale)
        zero_points = (x.zero_point, output.zero_point)
        params = RequantizeParams(x.size, x.dtype, output.dtype, multiplier, shift, *zero_points)
        if x.dtype == output.dtype == INT8:
            return TableParams(x.size, _rescaled(params, CODES))
        return params

    def evaluate_int(
        self, params: TableParams | RequantizeParams, inputs: Sequence[Array]
    ) -> tuple[Array, ...]:
        if isinstance(params, TableParams):
            return (look_up(params, inputs[0]),)
        return (_rescaled(params, inputs[0]),)

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        x, output = graph.tensors[node.inputs[0]], graph.tensors[node.output]
        if x.quant is None or output.quant is None:
            return None
        _, shift = quantize_multiplier(x.scale / output.scale)
        if scaling_overflows(MAX_WIDE_INPUT if x.dtype == INT16 else MAX_OFFSET_INPUT, shift):
            return "its output scale is so small that rescaling overflows int32"
        return None

    def incomparable(self, node: Node, graph: Graph, dialect: Dialect) -> str | None:
        x, output = graph.tensors[node.inputs[0]], graph.tensors[node.output]
        if dialect is Dialect.TFLITE and (x.dtype, output.dtype) == (INT8, INT16):
            return "tflite-runtime 2.14 has no QUANTIZE from int8 to int16"
        return None


def _rescaled(p: RequantizeParams, x: Array) -> Array:
    limits = code_limits(p.output_dtype)
    offset = x.astype(np.int64) - p.input_zero_point
    return requantize(offset, p.multiplier, p.shift, p.output_zero_point, *limits, p.output_dtype)


OPERATOR = Requantize()
