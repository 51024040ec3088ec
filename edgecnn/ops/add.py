"""Elementwise sum of two tensors, with broadcasting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.fixedpoint import multiply_by_quantized_multiplier, quantize_multiplier, requantize
from edgecnn.ir import Array, Attributes, Graph, Node, Shape
from edgecnn.operators import Dialect, Operator, activation_limits, apply_activation

#: Bits that both inputs are shifted up by before they are rescaled (TFLite's ``add.cc``).
LEFT_SHIFT = 20


@dataclass(frozen=True)
class AddAttributes(Attributes):
    """The fused activation."""

    activation: str = "none"


@dataclass(frozen=True, eq=False)
class AddParams:
    """Integers of an int8 sum; ``constants[i]`` is operand i where it is constant."""

    input_shapes: tuple[Shape, Shape]
    output_shape: Shape
    constants: tuple[Array | None, Array | None]
    input_zero_points: tuple[int, int]
    input_multipliers: tuple[int, int]
    input_shifts: tuple[int, int]
    output_multiplier: int
    output_shift: int
    output_zero_point: int
    activation_min: int
    activation_max: int


class Add(Operator[AddAttributes, AddParams]):
    """Elementwise sum."""

    attributes = AddAttributes
    summary = "with broadcasting; one operand may be constant"
    is_elementwise = True
    fuses_activation = True

    def infer_shapes(self, attributes: AddAttributes, shapes: Sequence[Shape]) -> tuple[Shape, ...]:
        return (tuple(np.broadcast_shapes(*shapes)),)

    def evaluate_float(
        self, attributes: AddAttributes, inputs: Sequence[Array | None]
    ) -> tuple[Array, ...]:
        a, b = inputs
        assert a is not None
        assert b is not None
        return (apply_activation(attributes.activation, a + b),)

    def lower(self, node: Node, graph: Graph, dialect: Dialect) -> AddParams:
        a = node.attributes
        assert isinstance(a, AddAttributes)
        first, second = (graph.tensors[name] for name in node.inputs)
        output = graph.tensors[node.output]
        twice_max = 2 * max(first.scale, second.scale)
        (m1, s1), (m2, s2) = (quantize_multiplier(t.scale / twice_max) for t in (first, second))
        m3, s3 = quantize_multiplier(twice_max / ((1 << LEFT_SHIFT) * output.scale))
        low, high = activation_limits(a.activation, output.scale, output.zero_point)
        return AddParams(
            input_shapes=(first.shape, second.shape),
            output_shape=output.shape,
            constants=(first.data, second.data),
            input_zero_points=(first.zero_point, second.zero_point),
            input_multipliers=(m1, m2),
            input_shifts=(s1, s2),
            output_multiplier=m3,
            output_shift=s3,
            output_zero_point=output.zero_point,
            activation_min=low,
            activation_max=high,
        )

    def evaluate_int(self, params: AddParams, inputs: Sequence[Array]) -> tuple[Array, ...]:
        activations = iter(inputs)
        total: Array = np.int64(0)  # type: ignore[assignment]
        for i in range(2):
            constant = params.constants[i]
            x = next(activations) if constant is None else constant
            shifted = (x.astype(np.int64) - params.input_zero_points[i]) << LEFT_SHIFT
            total = total + multiply_by_quantized_multiplier(
                shifted, params.input_multipliers[i], params.input_shifts[i]
            )
        return (
            requantize(
                total,
                params.output_multiplier,
                params.output_shift,
                params.output_zero_point,
                params.activation_min,
                params.activation_max,
            ),
        )

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        if not graph.activation_inputs(node):
            return "both of its operands are constants"
        first, second = (graph.tensors[name] for name in node.inputs)
        output = graph.tensors[node.output]
        if output.quant is not None:
            real = 2 * max(first.scale, second.scale) / ((1 << LEFT_SHIFT) * output.scale)
            if real >= 1:
                return "its output scale is over 500,000 times smaller than its inputs' scales"
        return None


OPERATOR = Add()
