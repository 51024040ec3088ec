"""Elementwise sum of two tensors, with broadcasting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from edgecnn.binary_operator import (
    BinaryAttributes,
    BinaryOperator,
    ScaledParams,
    at_one_scale,
    input_multipliers,
    shapes_and_constants,
)
from edgecnn.fixedpoint import quantize_multiplier, requantize
from edgecnn.ir import INT16, Array, Graph, Node
from edgecnn.operators import Dialect, activation_limits

#: Bits that both inputs are shifted up by before they are rescaled (TFLite's ``add.cc``): int8
#: ones, and int16 ones.
LEFT_SHIFT, WIDE_LEFT_SHIFT = 20, 15

A = TypeVar("A", bound=BinaryAttributes)


@dataclass(frozen=True)
class AddAttributes(BinaryAttributes):
    """The fused activation."""


class ScaledSum(BinaryOperator[A, ScaledParams]):
    """A sum or a difference of operands that are brought to one scale first."""

    fuses_activation = True
    has_wide_form = True

    def is_homogeneous(self, attributes: A) -> bool:
        return True

    def ratios(self, node: Node, graph: Graph) -> tuple[int, float, float, float]:
        """The shift, factors of both inputs to twice the larger scale, and from there on."""
        first, second = (graph.tensors[name].scale for name in node.inputs)
        output = graph.tensors[node.output]
        left_shift = WIDE_LEFT_SHIFT if output.dtype == INT16 else LEFT_SHIFT
        twice_max = 2 * max(first, second)
        outer = twice_max / ((1 << left_shift) * output.scale)
        return left_shift, first / twice_max, second / twice_max, outer

    def lower(self, node: Node, graph: Graph, dialect: Dialect) -> ScaledParams:
        a = node.attributes
        assert isinstance(a, BinaryAttributes)
        output = graph.tensors[node.output]
        left_shift, *inner, outer = self.ratios(node, graph)
        multipliers, shifts = input_multipliers(inner)
        multiplier, shift = quantize_multiplier(outer)
        low, high = activation_limits(a.activation, output.scale, output.zero_point, output.dtype)
        return ScaledParams(
            **vars(shapes_and_constants(node, graph)),
            left_shift=left_shift,
            input_multipliers=multipliers,
            input_shifts=shifts,
            output_multiplier=multiplier,
            output_shift=shift,
            output_zero_point=output.zero_point,
            activation_min=low,
            activation_max=high,
        )

    def evaluate_int(self, params: ScaledParams, inputs: Sequence[Array]) -> tuple[Array, ...]:
        p = params
        result = self.function(*at_one_scale(p, inputs))
        limits = (p.output_zero_point, p.activation_min, p.activation_max, p.dtype)
        return (requantize(result, p.output_multiplier, p.output_shift, *limits),)

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        if graph.tensors[node.output].quant is not None and graph.activation_inputs(node):
            *_, real = self.ratios(node, graph)
            if real >= 1:
                times = "16,000" if graph.is_wide(node) else "500,000"
                return f"its output scale is over {times} times smaller than its inputs' scales"
        return super().unsupported(node, graph)


class Add(ScaledSum[AddAttributes]):
    """Elementwise sum."""

    attributes = AddAttributes
    summary = "with broadcasting; one operand may be constant"

    def function(self, a: Array, b: Array) -> Array:
        return a + b


OPERATOR = Add()
