"""Euclidean length of vectors along an axis: only known as a part of l2_normalization."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.ir import Array, Attributes, Graph, Node, Shape
from edgecnn.operators import Operator


@dataclass(frozen=True)
class VectorNormAttributes(Attributes):
    """The axis, non-negative; it is kept, with size 1."""

    axis: int


class VectorNorm(Operator[VectorNormAttributes, None]):
    """Length of vectors."""

    attributes = VectorNormAttributes
    summary = "only where a tensor is divided by its own norm (`F.normalize`)"
    is_float_only = True

    def infer_shapes(
        self, attributes: VectorNormAttributes, shapes: Sequence[Shape]
    ) -> tuple[Shape, ...]:
        (shape,) = shapes
        return (tuple(1 if i == attributes.axis else n for i, n in enumerate(shape)),)

    def evaluate_float(
        self, attributes: VectorNormAttributes, inputs: Sequence[Array | None]
    ) -> tuple[Array, ...]:
        (x,) = inputs
        assert x is not None
        squares = np.square(x.astype(np.float64)).sum(axis=attributes.axis, keepdims=True)
        return (np.sqrt(squares).astype(np.float32),)

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        return "a norm is only supported where its own input is divided by it (F.normalize)"


OPERATOR = VectorNorm()
