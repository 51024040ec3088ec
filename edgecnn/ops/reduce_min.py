"""Minimum over some axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgecnn.ir import Array, Shape
from edgecnn.moves import Move
from edgecnn.reductions import ReduceAttributes, reduced_shape


@dataclass(frozen=True)
class ReduceMinAttributes(ReduceAttributes):
    """Axes are non-negative and ascending."""


class ReduceMin(Move[ReduceMinAttributes]):
    """Minimum over axes."""

    attributes = ReduceMinAttributes
    summary = "over any axes"

    def infer_shapes(
        self, attributes: ReduceMinAttributes, shapes: Sequence[Shape]
    ) -> tuple[Shape, ...]:
        return (reduced_shape(attributes, shapes[0]),)

    def move(self, attributes: ReduceMinAttributes, inputs: Sequence[Array]) -> tuple[Array, ...]:
        return (inputs[0].min(axis=attributes.axes, keepdims=attributes.keep_dims),)

    def keeps_samples_apart(self, attributes: ReduceMinAttributes) -> bool:
        return 0 not in attributes.axes


OPERATOR = ReduceMin()
