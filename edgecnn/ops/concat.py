"""Tensors one after another along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.ir import Array, Attributes, Graph, Node, Shape
from edgecnn.moves import Move
from edgecnn.operators import OutputRange

#: Inputs of one CONCATENATION that TFLite Micro takes.
MAX_INPUTS = 10


@dataclass(frozen=True)
class ConcatAttributes(Attributes):
    """The axis is not negative."""

    axis: int


class Concat(Move[ConcatAttributes]):
    """Concatenation. Inputs and output share one scale and zero point."""

    attributes = ConcatAttributes
    summary = "any axis, up to 10 inputs; all share one scale"
    has_wide_form = True
    output_range = OutputRange.SHARED
    max_rank = 5

    def infer_shapes(
        self, attributes: ConcatAttributes, shapes: Sequence[Shape]
    ) -> tuple[Shape, ...]:
        axis, first = attributes.axis, shapes[0]
        if {(*s[:axis], *s[axis + 1 :]) for s in shapes} != {(*first[:axis], *first[axis + 1 :])}:
            raise ValueError(f"shapes differ off axis {axis}")
        return ((*first[:axis], sum(s[axis] for s in shapes), *first[axis + 1 :]),)

    def move(self, attributes: ConcatAttributes, inputs: Sequence[Array]) -> tuple[Array, ...]:
        arrays = list(inputs)
        if attributes.axis != 0:  # a constant has one sample only
            batch = max(x.shape[0] for x in arrays)
            arrays = [np.broadcast_to(x, (batch, *x.shape[1:])) for x in arrays]
        return (np.concatenate(arrays, axis=attributes.axis),)

    def keeps_samples_apart(self, attributes: ConcatAttributes) -> bool:
        return attributes.axis != 0

    def permuted(
        self, attributes: ConcatAttributes, permutation: tuple[int, ...]
    ) -> ConcatAttributes | None:
        return ConcatAttributes(permutation[attributes.axis])

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        if len(node.inputs) > MAX_INPUTS:
            return f"it has {len(node.inputs)} inputs; at most {MAX_INPUTS} are supported"
        return super().unsupported(node, graph)


OPERATOR = Concat()
