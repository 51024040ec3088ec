"""Logistic sigmoid: 1 / (1 + exp(-x))."""

from __future__ import annotations

import numpy as np

from edgecnn import functions
from edgecnn.curve_operator import CurveOperator
from edgecnn.fixedpoint import (
    INT8_MAX,
    INT8_MIN,
    input_radius,
    logistic,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    rounding_divide_by_pot,
    saturate_int8,
)
from edgecnn.fixedpoint16 import sigmoid_curve
from edgecnn.ir import Array, Attributes, Graph, Node, QuantParams
from edgecnn.lookup import float32_table, in_float32
from edgecnn.operators import Dialect, OutputRange, in_both
from edgecnn.table_operator import CODES

#: Integer bits of the scaled input, and fraction bits of the output.
INPUT_INTEGER_BITS = 4
OUTPUT_FRACTION_BITS = 8


class Sigmoid(CurveOperator):
    """Sigmoid."""

    summary = "output scale 1/256, zero point -128"
    differences = in_both("it fills a table in float32, not in fixed point")
    output_range = OutputRange.FIXED
    fixed_output = QuantParams.per_tensor(1 / 256, -128)

    def function(self, attributes: Attributes, x: Array) -> Array:
        return functions.sigmoid(x)

    def table(self, node: Node, graph: Graph, dialect: Dialect) -> Array:
        """TFLite Micro's fixed point (``integer_ops/logistic.h``); TFLite fills a float table."""
        x, output = graph.tensors[node.inputs[0]], graph.tensors[node.output]
        if dialect is not Dialect.TFLM:
            return float32_table(x, output, _in_float32_steps)
        multiplier, shift = quantize_multiplier(x.scale * (1 << (31 - INPUT_INTEGER_BITS)))
        radius = input_radius(INPUT_INTEGER_BITS, shift)
        centred = CODES - x.zero_point
        inside = np.abs(centred) < radius
        scaled = multiply_by_quantized_multiplier(np.where(inside, centred, 0), multiplier, shift)
        shares = logistic(scaled, INPUT_INTEGER_BITS)
        y = saturate_int8(rounding_divide_by_pot(shares, 31 - OUTPUT_FRACTION_BITS) + INT8_MIN)
        return np.where(inside, y, np.where(centred > 0, INT8_MAX, INT8_MIN)).astype(np.int8)

    def curve(self, argument: Array) -> Array:
        return sigmoid_curve(argument)

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        x, output = graph.tensors[node.inputs[0]], graph.tensors[node.output]
        if graph.is_wide(node):
            return self.wide_problem(node, graph)
        if output.quant is not None and output.quant != self.fixed_output:
            return "its output scale is not 1/256 with zero point -128"
        if x.quant is not None and x.scale < 2.0**-58:
            return "its input scale is under 2**-58"
        return None


def _in_float32_steps(x: Array) -> Array:
    power = in_float32(np.exp)(-x)
    return np.float32(1) / (np.float32(1) + power)


OPERATOR = Sigmoid()
