"""Square of the elementwise difference of two tensors, with broadcasting."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgecnn.binary_operator import (
    BinaryOperator,
    ScaledParams,
    at_one_scale,
    input_multipliers,
    shapes_and_constants,
)
from edgecnn.fixedpoint import (
    INT8_MAX,
    INT8_MIN,
    quantize_multiplier,
    requantize,
)
from edgecnn.ir import Array, Attributes, Graph, Node
from edgecnn.operators import Dialect

#: Bits that both inputs are shifted up by before they are rescaled.
LEFT_SHIFT = 7


class SquaredDifference(BinaryOperator[Attributes, ScaledParams]):
    """Squared difference."""

    summary = "with broadcasting; one operand may be constant"

    def function(self, a: Array, b: Array) -> Array:
        return np.square(a - b)

    def lower(self, node: Node, graph: Graph, dialect: Dialect) -> ScaledParams:
        first, second, output = (graph.tensors[n] for n in (*node.inputs, node.output))
        twice_max = 2 * max(first.scale, second.scale)
        multipliers, shifts = input_multipliers((first.scale / twice_max, second.scale / twice_max))
        real = twice_max * twice_max / ((1 << (2 * LEFT_SHIFT)) * output.scale)
        multiplier, shift = quantize_multiplier(real)
        return ScaledParams(
            **vars(shapes_and_constants(node, graph)),
            left_shift=LEFT_SHIFT,
            input_multipliers=multipliers,
            input_shifts=shifts,
            output_multiplier=multiplier,
            output_shift=shift,
            output_zero_point=output.zero_point,
            activation_min=INT8_MIN,
            activation_max=INT8_MAX,
        )

    def evaluate_int(self, params: ScaledParams, inputs: Sequence[Array]) -> tuple[Array, ...]:
        p = params
        squares = self.function(*at_one_scale(p, inputs))
        return (requantize(squares, p.output_multiplier, p.output_shift, p.output_zero_point),)

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        reason = super().unsupported(node, graph)
        if reason is not None or graph.tensors[node.output].quant is None:
            return reason
        # From 1 on, TensorFlow Lite stops the program; TFLite Micro's sums would overflow from 2.
        if self.lower(node, graph, Dialect.TFLM).output_shift > 0:
            return "its output scale is so small that rescaling overflows int32"
        return None


OPERATOR = SquaredDifference()
