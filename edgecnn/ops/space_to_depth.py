"""Blocks of an NHWC image gathered into its channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgecnn.ir import Array, Attributes, Shape
from edgecnn.moves import Move


@dataclass(frozen=True)
class SpaceToDepthAttributes(Attributes):
    """Height and width of the blocks."""

    block: int


class SpaceToDepth(Move[SpaceToDepthAttributes]):
    """Channel ``(y * block + x) * C + c`` is channel c of row y, column x of a block."""

    attributes = SpaceToDepthAttributes
    summary = "any block size"

    def infer_shapes(
        self, attributes: SpaceToDepthAttributes, shapes: Sequence[Shape]
    ) -> tuple[Shape, ...]:
        (n, h, w, c), block = shapes[0], attributes.block
        if h % block or w % block:
            raise ValueError(f"{h}x{w} is no whole number of blocks of {block}x{block}")
        return ((n, h // block, w // block, c * block * block),)

    def move(
        self, attributes: SpaceToDepthAttributes, inputs: Sequence[Array]
    ) -> tuple[Array, ...]:
        (n, h, w, c), block = inputs[0].shape, attributes.block
        split = inputs[0].reshape(n, h // block, block, w // block, block, c)
        return (
            split.transpose(0, 1, 3, 2, 4, 5).reshape(n, h // block, w // block, block * block * c),
        )


OPERATOR = SpaceToDepth()
