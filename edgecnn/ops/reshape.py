"""The same values in another shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from edgecnn.ir import Array, Attributes, Graph, Node, Shape
from edgecnn.operators import Dialect, Operator, OutputRange, same_quantization_problem


@dataclass(frozen=True)
class ReshapeAttributes(Attributes):
    """The whole output shape, with no -1."""

    shape: Shape


@dataclass(frozen=True)
class ReshapeParams:
    """The output shape of one sample."""

    shape: Shape


def _batched(shape: Shape, x: Array) -> Array:
    """Reshape one sample, or many that are stacked in the first dimension."""
    size = math.prod(shape)
    return x.reshape(shape if x.size == size else (x.size // size * shape[0], *shape[1:]))


class Reshape(Operator[ReshapeAttributes, ReshapeParams]):
    """Reshape, flatten, squeeze."""

    attributes = ReshapeAttributes
    summary = "reshape, flatten, squeeze, unsqueeze: costs nothing in C"
    is_view = True
    has_wide_form = True
    output_range = OutputRange.SAME_AS_INPUT

    def is_homogeneous(self, attributes: ReshapeAttributes) -> bool:
        return True

    def infer_shapes(
        self, attributes: ReshapeAttributes, shapes: Sequence[Shape]
    ) -> tuple[Shape, ...]:
        if math.prod(attributes.shape) != math.prod(shapes[0]):
            raise ValueError(f"shape {attributes.shape} has another number of values")
        return (attributes.shape,)

    def evaluate_float(
        self, attributes: ReshapeAttributes, inputs: Sequence[Array | None]
    ) -> tuple[Array, ...]:
        (x,) = inputs
        assert x is not None
        return (_batched(attributes.shape, x),)

    def lower(self, node: Node, graph: Graph, dialect: Dialect) -> ReshapeParams:
        return ReshapeParams(graph.tensors[node.output].shape)

    def evaluate_int(self, params: ReshapeParams, inputs: Sequence[Array]) -> tuple[Array, ...]:
        return (_batched(params.shape, inputs[0]),)

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        x, output = graph.tensors[node.inputs[0]], graph.tensors[node.output]
        return same_quantization_problem(x.quant, output.quant)


OPERATOR = Reshape()
