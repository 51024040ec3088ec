"""A part of a tensor: every so many values along each axis, forwards or backwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.ir import Array, Attributes, Graph, Node, Shape
from edgecnn.moves import Move

#: What TFLite Micro's STRIDED_SLICE goes up to; its SLICE takes one more.
MAX_STRIDED_RANK = 4


@dataclass(frozen=True)
class Part:
    """``size`` indices of an axis: ``begin``, ``begin + step``, …; the step may be negative."""

    begin: int
    size: int
    step: int = 1

    @property
    def last(self) -> int:
        """The index of the last value."""
        return self.begin + (self.size - 1) * self.step

    def index(self) -> slice:
        """The part as numpy indexes it."""
        end = self.begin + self.size * self.step
        return slice(self.begin, None if end < 0 else end, self.step)


@dataclass(frozen=True)
class SliceAttributes(Attributes):
    """The part of each axis; None is the whole axis."""

    parts: tuple[Part | None, ...]

    @property
    def is_strided(self) -> bool:
        """Whether some values are left out between others, or the order is turned."""
        return any(part is not None and part.step != 1 for part in self.parts)


class Slice(Move[SliceAttributes]):
    """Slice."""

    attributes = SliceAttributes
    summary = "constant begin, size and stride, also negative"
    has_wide_form = True
    max_rank = 5

    def infer_shapes(
        self, attributes: SliceAttributes, shapes: Sequence[Shape]
    ) -> tuple[Shape, ...]:
        sizes = []
        for n, part in zip(shapes[0], attributes.parts, strict=True):
            if part is not None and not (0 <= part.begin < n and 0 <= part.last < n):
                raise ValueError(f"{part} lies outside of {n} values")
            sizes.append(n if part is None else part.size)
        return (tuple(sizes),)

    def move(self, attributes: SliceAttributes, inputs: Sequence[Array]) -> tuple[Array, ...]:
        whole = slice(None)
        return (inputs[0][tuple(whole if p is None else p.index() for p in attributes.parts)],)

    def keeps_samples_apart(self, attributes: SliceAttributes) -> bool:
        return attributes.parts[0] is None

    def permuted(
        self, attributes: SliceAttributes, permutation: tuple[int, ...]
    ) -> SliceAttributes | None:
        return SliceAttributes(tuple(attributes.parts[axis] for axis in np.argsort(permutation)))

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        a = node.attributes
        assert isinstance(a, SliceAttributes)
        if a.is_strided and len(a.parts) > MAX_STRIDED_RANK:
            return (
                f"it takes steps in {len(a.parts)} dimensions; "
                f"at most {MAX_STRIDED_RANK} are supported"
            )
        return super().unsupported(node, graph)


OPERATOR = Slice()
