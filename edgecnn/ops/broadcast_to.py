"""Values repeated along axes of size 1, and along new axes in front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.ir import Array, Attributes, Shape
from edgecnn.moves import Move


@dataclass(frozen=True)
class BroadcastToAttributes(Attributes):
    """The whole output shape."""

    shape: Shape


class BroadcastTo(Move[BroadcastToAttributes]):
    """Broadcast to a shape."""

    attributes = BroadcastToAttributes
    summary = "expand, to a constant shape"
    max_rank = 5

    def infer_shapes(
        self, attributes: BroadcastToAttributes, shapes: Sequence[Shape]
    ) -> tuple[Shape, ...]:
        if np.broadcast_shapes(shapes[0], attributes.shape) != attributes.shape:
            raise ValueError(f"{shapes[0]} cannot be repeated to {attributes.shape}")
        return (attributes.shape,)

    def move(self, attributes: BroadcastToAttributes, inputs: Sequence[Array]) -> tuple[Array, ...]:
        x, shape = inputs[0], attributes.shape
        is_batch = x.ndim == len(shape) and shape[0] == 1
        return (np.broadcast_to(x, (x.shape[0], *shape[1:]) if is_batch else shape),)

    def keeps_samples_apart(self, attributes: BroadcastToAttributes) -> bool:
        return attributes.shape[0] == 1

    def permuted(
        self, attributes: BroadcastToAttributes, permutation: tuple[int, ...]
    ) -> BroadcastToAttributes | None:
        shape = attributes.shape
        if len(shape) != len(permutation):
            return None
        return BroadcastToAttributes(tuple(shape[axis] for axis in np.argsort(permutation)))


OPERATOR = BroadcastTo()
