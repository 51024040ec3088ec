"""A border that mirrors the values inside, with the edge itself or without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.ir import Array, Attributes, Shape
from edgecnn.moves import Move


@dataclass(frozen=True)
class MirrorPadAttributes(Attributes):
    """``paddings[axis]`` is (before, after); ``repeats_edge`` for the symmetric mode."""

    paddings: tuple[tuple[int, int], ...]
    repeats_edge: bool = False


class MirrorPad(Move[MirrorPadAttributes]):
    """Reflecting and symmetric padding, no wider than there are values to mirror."""

    attributes = MirrorPadAttributes
    summary = "reflect and symmetric, any axis"

    def infer_shapes(
        self, attributes: MirrorPadAttributes, shapes: Sequence[Shape]
    ) -> tuple[Shape, ...]:
        sizes = []
        for n, (before, after) in zip(shapes[0], attributes.paddings, strict=True):
            widest = n if attributes.repeats_edge else n - 1
            if not (0 <= before <= widest and 0 <= after <= widest):
                raise ValueError(f"{n} values cannot be mirrored by {before} and {after}")
            sizes.append(before + n + after)
        return (tuple(sizes),)

    def move(self, attributes: MirrorPadAttributes, inputs: Sequence[Array]) -> tuple[Array, ...]:
        if attributes.repeats_edge:
            return (np.pad(inputs[0], attributes.paddings, mode="symmetric"),)
        return (np.pad(inputs[0], attributes.paddings, mode="reflect"),)

    def keeps_samples_apart(self, attributes: MirrorPadAttributes) -> bool:
        return attributes.paddings[0] == (0, 0)

    def permuted(
        self, attributes: MirrorPadAttributes, permutation: tuple[int, ...]
    ) -> MirrorPadAttributes | None:
        paddings = tuple(attributes.paddings[axis] for axis in np.argsort(permutation))
        return MirrorPadAttributes(paddings, attributes.repeats_edge)


OPERATOR = MirrorPad()
