"""An NHWC image in another size, each pixel a copy of one of its pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.fixedpoint import round_half_away
from edgecnn.ir import Array, Attributes, Shape
from edgecnn.moves import Move
from edgecnn.windows import Pair


@dataclass(frozen=True)
class ResizeNearestAttributes(Attributes):
    """Output size as (height, width), and TFLite's two flags."""

    size: Pair
    align_corners: bool = False
    half_pixel_centers: bool = False


def nearest_indices(
    inputs: int, outputs: int, *, align_corners: bool, half_pixel_centers: bool
) -> Array:
    """The input index of each output index, as TFLite's ``GetNearestNeighbor`` in float32."""
    if align_corners and outputs > 1:
        scale = np.float32(inputs - 1) / np.float32(outputs - 1)
    else:
        scale = np.float32(inputs) / np.float32(outputs)
    offset = np.float32(0.5 if half_pixel_centers else 0.0)
    places = (np.arange(outputs, dtype=np.float32) + offset) * scale
    whole = round_half_away(places) if align_corners else np.floor(places)
    return np.clip(whole.astype(np.int64), 0, inputs - 1)


def indices(attributes: ResizeNearestAttributes, shape: Shape) -> tuple[Array, Array]:
    """The input row of each output row, and the column of each column."""
    rows, columns = (
        nearest_indices(
            n,
            m,
            align_corners=attributes.align_corners,
            half_pixel_centers=attributes.half_pixel_centers,
        )
        for n, m in zip(shape[1:3], attributes.size, strict=True)
    )
    return rows, columns


class ResizeNearest(Move[ResizeNearestAttributes]):
    """Nearest-neighbour resizing."""

    attributes = ResizeNearestAttributes
    summary = "any constant size, with TFLite's conventions of centres and corners"

    def infer_shapes(
        self, attributes: ResizeNearestAttributes, shapes: Sequence[Shape]
    ) -> tuple[Shape, ...]:
        n, _, _, c = shapes[0]
        return ((n, *attributes.size, c),)

    def move(
        self, attributes: ResizeNearestAttributes, inputs: Sequence[Array]
    ) -> tuple[Array, ...]:
        rows, columns = indices(attributes, inputs[0].shape)
        return (inputs[0][:, rows][:, :, columns],)


OPERATOR = ResizeNearest()
