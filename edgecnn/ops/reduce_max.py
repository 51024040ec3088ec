"""Maximum over some axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgecnn.ir import Array, Shape
from edgecnn.moves import Move
from edgecnn.reductions import ReduceAttributes, reduced_shape


@dataclass(frozen=True)
class ReduceMaxAttributes(ReduceAttributes):
    """Axes are non-negative and ascending."""


class ReduceMax(Move[ReduceMaxAttributes]):
    """Maximum over axes."""

    attributes = ReduceMaxAttributes
    summary = "over any axes"

    def infer_shapes(
        self, attributes: ReduceMaxAttributes, shapes: Sequence[Shape]
    ) -> tuple[Shape, ...]:
        return (reduced_shape(attributes, shapes[0]),)

    def move(self, attributes: ReduceMaxAttributes, inputs: Sequence[Array]) -> tuple[Array, ...]:
        return (inputs[0].max(axis=attributes.axes, keepdims=attributes.keep_dims),)

    def keeps_samples_apart(self, attributes: ReduceMaxAttributes) -> bool:
        return 0 not in attributes.axes


OPERATOR = ReduceMax()
