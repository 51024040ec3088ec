"""Elementwise product of two tensors, with broadcasting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.accumulate import MAX_OFFSET_INPUT, MAX_WIDE_INPUT
from edgecnn.binary_operator import (
    BinaryAttributes,
    BinaryOperator,
    BinaryParams,
    operands,
    shapes_and_constants,
)
from edgecnn.fixedpoint import quantize_multiplier, requantize, scaling_overflows
from edgecnn.ir import Array, Graph, Node
from edgecnn.operators import Dialect, activation_limits, in_both

#: Largest magnitude of a product of two int8 values less their zero points.
MAX_PRODUCT = MAX_OFFSET_INPUT**2


@dataclass(frozen=True)
class MulAttributes(BinaryAttributes):
    """The fused activation."""


@dataclass(frozen=True, eq=False)
class MulParams(BinaryParams):
    """Integers of an int8 product, which is rescaled once."""

    multiplier: int
    shift: int
    output_zero_point: int
    activation_min: int
    activation_max: int


class Mul(BinaryOperator[MulAttributes, MulParams]):
    """Elementwise product."""

    attributes = MulAttributes
    summary = "with broadcasting; one operand may be constant"
    differences = in_both("it multiplies the scales in float32, not in double")
    fuses_activation = True
    has_wide_form = True

    def function(self, a: Array, b: Array) -> Array:
        return a * b

    def lower(self, node: Node, graph: Graph, dialect: Dialect) -> MulParams:
        a = node.attributes
        assert isinstance(a, MulAttributes)
        first, second, output = (graph.tensors[n] for n in (*node.inputs, node.output))
        real = first.scale * second.scale / output.scale
        if dialect is not Dialect.TFLM:
            # TFLite's mul.cc computes in float32, TFLite Micro's mul_common.cc in double.
            real = float(
                np.float32(first.scale) * np.float32(second.scale) / np.float32(output.scale)
            )
        multiplier, shift = quantize_multiplier(real)
        low, high = activation_limits(a.activation, output.scale, output.zero_point, output.dtype)
        return MulParams(
            **vars(shapes_and_constants(node, graph)),
            multiplier=multiplier,
            shift=shift,
            output_zero_point=output.zero_point,
            activation_min=low,
            activation_max=high,
        )

    def evaluate_int(self, params: MulParams, inputs: Sequence[Array]) -> tuple[Array, ...]:
        p = params
        a, b = operands(p, inputs)
        limits = (p.output_zero_point, p.activation_min, p.activation_max, p.dtype)
        return (requantize(a * b, p.multiplier, p.shift, *limits),)

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        reason = super().unsupported(node, graph)
        if reason is not None or graph.tensors[node.output].quant is None:
            return reason
        largest = MAX_WIDE_INPUT**2 if graph.is_wide(node) else MAX_PRODUCT
        if scaling_overflows(largest, self.lower(node, graph, Dialect.TFLM).shift):
            return "its output scale is so small that rescaling overflows int32"
        return None


OPERATOR = Mul()
