"""Minimum over some axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgecnn.ir import Array
from edgecnn.moves import Move
from edgecnn.reductions import ReduceAttributes, Reduction


@dataclass(frozen=True)
class ReduceMinAttributes(ReduceAttributes):
    """Axes are non-negative and ascending."""


class ReduceMin(Reduction, Move[ReduceMinAttributes]):
    """Minimum over axes."""

    attributes = ReduceMinAttributes

    def move(self, attributes: ReduceMinAttributes, inputs: Sequence[Array]) -> tuple[Array, ...]:
        return (inputs[0].min(axis=attributes.axes, keepdims=attributes.keep_dims),)


OPERATOR = ReduceMin()
