"""Maximum over some axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgecnn.ir import Array
from edgecnn.moves import Move
from edgecnn.reductions import ReduceAttributes, Reduction


@dataclass(frozen=True)
class ReduceMaxAttributes(ReduceAttributes):
    """Axes are non-negative and ascending."""


class ReduceMax(Reduction, Move[ReduceMaxAttributes]):
    """Maximum over axes."""

    attributes = ReduceMaxAttributes

    def move(self, attributes: ReduceMaxAttributes, inputs: Sequence[Array]) -> tuple[Array, ...]:
        return (inputs[0].max(axis=attributes.axes, keepdims=attributes.keep_dims),)


OPERATOR = ReduceMax()
