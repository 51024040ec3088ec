"""Channels of an NHWC image spread over blocks of pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgecnn.ir import Array, Attributes, Shape
from edgecnn.moves import Move


@dataclass(frozen=True)
class DepthToSpaceAttributes(Attributes):
    """Height and width of the blocks."""

    block: int


class DepthToSpace(Move[DepthToSpaceAttributes]):
    """Channel ``(y * block + x) * C + c`` becomes channel c of row y, column x of a block."""

    attributes = DepthToSpaceAttributes
    summary = "any block size; also pixel shuffle"

    def infer_shapes(
        self, attributes: DepthToSpaceAttributes, shapes: Sequence[Shape]
    ) -> tuple[Shape, ...]:
        (n, h, w, c), block = shapes[0], attributes.block
        if c % (block * block):
            raise ValueError(f"{c} channels are no whole number of blocks of {block}x{block}")
        return ((n, h * block, w * block, c // (block * block)),)

    def move(
        self, attributes: DepthToSpaceAttributes, inputs: Sequence[Array]
    ) -> tuple[Array, ...]:
        (n, h, w, c), block = inputs[0].shape, attributes.block
        depth = c // (block * block)
        split = inputs[0].reshape(n, h, w, block, block, depth)
        return (split.transpose(0, 1, 3, 2, 4, 5).reshape(n, h * block, w * block, depth),)


OPERATOR = DepthToSpace()
