"""Leaky rectifier whose slope is a constant tensor, usually one value a channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.accumulate import MAX_OFFSET_INPUT
from edgecnn.binary_operator import BinaryOperator, BinaryParams, operands, shapes_and_constants
from edgecnn.fixedpoint import (
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    saturate_int8,
    scaling_overflows,
)
from edgecnn.ir import Array, Attributes, Graph, Node
from edgecnn.operators import Dialect, in_both
from edgecnn.ops.mul import MAX_PRODUCT

MAX_RANK = 4


@dataclass(frozen=True, eq=False)
class PreluParams(BinaryParams):
    """Integers of an int8 PReLU: each side of 0 is rescaled in its own way."""

    positive_multiplier: int
    positive_shift: int
    negative_multiplier: int
    negative_shift: int
    output_zero_point: int


class Prelu(BinaryOperator[Attributes, PreluParams]):
    """PReLU; operand 0 is the input, operand 1 the slope."""

    summary = "slopes of any shape that broadcasts to the input's"
    differences = in_both("it multiplies the scales in float32, not in double")

    def is_homogeneous(self, attributes: Attributes) -> bool:
        return True

    def function(self, a: Array, b: Array) -> Array:
        return np.where(a >= 0, a, a * b)

    def lower(self, node: Node, graph: Graph, dialect: Dialect) -> PreluParams:
        x, slope, output = (graph.tensors[n] for n in (*node.inputs, node.output))
        positive, negative = x.scale / output.scale, x.scale * slope.scale / output.scale
        if dialect is not Dialect.TFLM:
            # TFLite's activations.cc computes in float32, TFLite Micro's prelu_common.cc in double.
            a, b, y = (np.float32(t.scale) for t in (x, slope, output))
            positive, negative = float(a / y), float(a * b / y)
        (m1, s1), (m2, s2) = quantize_multiplier(positive), quantize_multiplier(negative)
        return PreluParams(
            **vars(shapes_and_constants(node, graph)),
            positive_multiplier=m1,
            positive_shift=s1,
            negative_multiplier=m2,
            negative_shift=s2,
            output_zero_point=output.zero_point,
        )

    def evaluate_int(self, params: PreluParams, inputs: Sequence[Array]) -> tuple[Array, ...]:
        p = params
        x, slope = operands(p, inputs)
        scaled = np.where(
            x >= 0,
            multiply_by_quantized_multiplier(
                np.maximum(x, 0), p.positive_multiplier, p.positive_shift
            ),
            multiply_by_quantized_multiplier(
                np.minimum(x, 0) * slope, p.negative_multiplier, p.negative_shift
            ),
        )
        return (saturate_int8(scaled + p.output_zero_point),)

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        x, output = graph.tensors[node.inputs[0]], graph.tensors[node.output]
        if not graph.is_activation(x.name) or graph.is_activation(node.inputs[1]):
            return "its slope is computed by the network; it must be constant"
        if x.shape != output.shape:
            return f"its slope has more values than its input of shape {x.shape}"
        if len(output.shape) > MAX_RANK:
            return f"it has {len(output.shape)} dimensions; at most {MAX_RANK} are supported"
        if output.quant is None:
            return None
        p = self.lower(node, graph, Dialect.TFLM)
        if scaling_overflows((MAX_OFFSET_INPUT, MAX_PRODUCT), (p.positive_shift, p.negative_shift)):
            return "its output scale is so small that rescaling overflows int32"
        return None


OPERATOR = Prelu()
