"""A tensor cut into several along an axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.ir import Array, Attributes, Shape
from edgecnn.moves import Move


@dataclass(frozen=True)
class SplitAttributes(Attributes):
    """The axis is not negative; ``sizes`` are those of the outputs along it."""

    axis: int
    sizes: tuple[int, ...]


class Split(Move[SplitAttributes]):
    """Split; the outputs are all of the input, in order."""

    attributes = SplitAttributes
    summary = "any axis and sizes"
    has_wide_form = True

    def infer_shapes(
        self, attributes: SplitAttributes, shapes: Sequence[Shape]
    ) -> tuple[Shape, ...]:
        axis, shape = attributes.axis, shapes[0]
        if sum(attributes.sizes) != shape[axis]:
            raise ValueError(f"parts of {attributes.sizes} are not the whole of axis {axis}")
        return tuple((*shape[:axis], size, *shape[axis + 1 :]) for size in attributes.sizes)

    def move(self, attributes: SplitAttributes, inputs: Sequence[Array]) -> tuple[Array, ...]:
        ends = np.cumsum(attributes.sizes)[:-1]
        return tuple(np.split(inputs[0], ends, axis=attributes.axis))

    def keeps_samples_apart(self, attributes: SplitAttributes) -> bool:
        return attributes.axis != 0

    def permuted(
        self, attributes: SplitAttributes, permutation: tuple[int, ...]
    ) -> SplitAttributes | None:
        return SplitAttributes(permutation[attributes.axis], attributes.sizes)


OPERATOR = Split()
