"""Nearest-neighbour resizing: ATen's upsample_nearest, ONNX's Resize and Upsample, TFLite's.

torch and ONNX have conventions of their own. Whichever of TFLite's gives the same pixels for the
sizes at hand is taken; where none does, the operator is refused.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.constants import integers
from edgecnn.frontends.sequences import as_images, as_sequences
from edgecnn.frontends.spelling import TfliteOperator, aten, tflite
from edgecnn.frontends.windows import image_rank_4
from edgecnn.ir import Array
from edgecnn.ops.resize_nearest import ResizeNearestAttributes, indices
from edgecnn.windows import Pair


@tflite("RESIZE_NEAREST_NEIGHBOR")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import RESIZE_NEAREST_NEIGHBOR to a constant size."""
    height, width = integers(b, op.inputs[1], "sizes")
    flags = bool(op.options.alignCorners), bool(op.options.halfPixelCenters)
    attributes = ResizeNearestAttributes((height, width), *flags)
    return op.emit(b, "resize_nearest", op.inputs[:1], attributes)


def from_nchw(b: GraphBuilder, x: Value, rows: Array, columns: Array) -> Value:
    """Resize NCHW so that output row i is input row ``rows[i]``, and columns likewise."""
    image = image_rank_4(b, x)
    for align, centre in itertools.product((False, True), repeat=2):
        a = ResizeNearestAttributes((len(rows), len(columns)), align, centre)
        given = indices(a, (1, *image, 1))
        if np.array_equal(given[0], rows) and np.array_equal(given[1], columns):
            return b.nchw(b.emit("resize_nearest", [b.nhwc(x)], a))
    raise Unsupported(
        f"it resizes {image[0]}x{image[1]} to {len(rows)}x{len(columns)} by other pixels than "
        "TFLite takes",
        "resize by a whole factor",
    )


def sizes_and_scales(
    image: Pair, size: Sequence[int] | None, factors: Sequence[float] | None
) -> tuple[Pair, tuple[float, float]]:
    """Output size, and input pixels per output pixel, of torch's two ways to say it."""
    if factors is not None:
        h, w = (int(np.floor(n * f)) for n, f in zip(image, factors, strict=True))
        return (h, w), (1 / factors[0], 1 / factors[1])
    assert size is not None
    h, w = int(size[0]), int(size[1])
    return (h, w), (image[0] / h, image[1] / w)


def _torch_indices(n: int, m: int, scale: float, offset: float) -> Array:
    places = (np.arange(m, dtype=np.float32) + np.float32(offset)) * np.float32(scale)
    return np.minimum(np.floor(places).astype(np.int64), n - 1)


def _resized(
    b: GraphBuilder,
    x: Value,
    size: Sequence[int] | None,
    factors: Sequence[float] | None,
    offset: float,
) -> Value:
    image = image_rank_4(b, x)
    (h, w), (down, across) = sizes_and_scales(image, size, factors)
    rows = _torch_indices(image[0], h, down, offset)
    return from_nchw(b, x, rows, _torch_indices(image[1], w, across, offset))


def _register(name: str, offset: float) -> None:
    """Import an operator that takes the pixel at ``floor((i + offset) * scale)``."""

    @aten(f"{name}.vec")
    def from_aten(
        b: GraphBuilder,
        x: Value,
        size: Sequence[int] | None,
        factors: Sequence[float] | None = None,
    ) -> Value:
        return _resized(b, x, size, factors, offset)

    @aten(f"{name}.default")
    def from_aten_sized(
        b: GraphBuilder,
        x: Value,
        size: Sequence[int],
        down: float | None = None,
        across: float | None = None,
    ) -> Value:
        factors = None if down is None or across is None else (float(down), float(across))
        return _resized(b, x, size, factors, offset)


_register("upsample_nearest2d", 0.0)
_register("_upsample_nearest_exact2d", 0.5)


@aten("upsample_nearest1d.vec")
def from_aten_1d(
    b: GraphBuilder,
    x: Value,
    size: Sequence[int] | None,
    factors: Sequence[float] | None = None,
) -> Value:
    """Import upsample_nearest1d, as an image of one row."""
    wide = None if size is None else (1, size[0])
    wider = None if factors is None else (1.0, factors[0])
    return as_sequences(b, _resized(b, as_images(b, x), wide, wider, 0.0))
