"""What elementwise operators of two operands have in common: broadcasting, and constants."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, TypeVar

import numpy as np

from edgecnn.fixedpoint import multiply_by_quantized_multiplier, quantize_multiplier
from edgecnn.ir import INT8, Array, Attributes, Graph, Node, Shape
from edgecnn.operators import Operator, apply_activation

#: Axes of a result that every runtime broadcasts along.
MAX_RANK = 5

A = TypeVar("A", bound=Attributes)
P = TypeVar("P", bound="BinaryParams")


@dataclass(frozen=True)
class BinaryAttributes(Attributes):
    """The fused activation, where the operator has one."""

    activation: str = "none"


@dataclass(frozen=True, eq=False)
class BinaryParams:
    """Shapes and zero points; ``constants[i]`` is operand i where it is constant.

    ``dtype`` is the type of the operands and the output: int8, or int16 of wide layers.
    """

    input_shapes: tuple[Shape, Shape]
    output_shape: Shape
    constants: tuple[Array | None, Array | None]
    input_zero_points: tuple[int, int]
    dtype: str = field(default=INT8, kw_only=True)


@dataclass(frozen=True, eq=False)
class ScaledParams(BinaryParams):
    """Integers that bring both operands to one scale, and a result of them to the output's."""

    left_shift: int
    input_multipliers: tuple[int, int]
    input_shifts: tuple[int, int]
    output_multiplier: int
    output_shift: int
    output_zero_point: int
    activation_min: int
    activation_max: int


class BinaryOperator(Operator[A, P]):
    """An elementwise operator of two operands; subclasses give the function and the integers."""

    is_elementwise: ClassVar[bool] = True

    @abstractmethod
    def function(self, a: Array, b: Array) -> Array:
        """The function of reals."""

    def infer_shapes(self, attributes: A, shapes: Sequence[Shape]) -> tuple[Shape, ...]:
        """The shapes, broadcast."""
        first, second = shapes
        return (tuple(np.broadcast_shapes(first, second)),)

    def evaluate_float(self, attributes: A, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        """`function`, and the fused activation."""
        a, b = inputs
        assert a is not None
        assert b is not None
        activation = getattr(attributes, "activation", "none")
        return (apply_activation(activation, self.function(a, b)),)

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        """Both operands constant, or too many axes."""
        if not graph.activation_inputs(node):
            return "both of its operands are constants"
        rank = len(graph.tensors[node.output].shape)
        if rank > MAX_RANK:
            return f"it has {rank} dimensions; at most {MAX_RANK} are supported"
        return None


def shapes_and_constants(node: Node, graph: Graph) -> BinaryParams:
    """The part of the integers that every operator of two operands has."""
    first, second = (graph.tensors[name] for name in node.inputs)
    return BinaryParams(
        input_shapes=(first.shape, second.shape),
        output_shape=graph.tensors[node.output].shape,
        constants=(first.data, second.data),
        input_zero_points=(first.zero_point, second.zero_point),
        dtype=graph.tensors[node.output].dtype,
    )


def operands(params: BinaryParams, inputs: Sequence[Array]) -> tuple[Array, Array]:
    """Both operands, int64, less their zero points."""
    activations = iter(inputs)
    a, b = (
        (next(activations) if constant is None else constant).astype(np.int64) - zero_point
        for constant, zero_point in zip(params.constants, params.input_zero_points, strict=True)
    )
    return a, b


def at_one_scale(params: ScaledParams, inputs: Sequence[Array]) -> tuple[Array, Array]:
    """Both operands in steps of twice the larger input scale, shifted up by ``left_shift``."""
    a, b = (
        multiply_by_quantized_multiplier(x << params.left_shift, multiplier, shift)
        for x, multiplier, shift in zip(
            operands(params, inputs), params.input_multipliers, params.input_shifts, strict=True
        )
    )
    return a, b


def input_multipliers(ratios: Sequence[float]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Multipliers, and shifts, of two ratios under 1."""
    (m1, s1), (m2, s2) = (quantize_multiplier(ratio) for ratio in ratios)
    return (m1, m2), (s1, s2)
