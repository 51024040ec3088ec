"""Bilinear resizing: ATen's upsample_bilinear and upsample_linear1d, ONNX's Resize, TFLite's."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.errors import ModelFormatError
from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.constants import integers
from edgecnn.frontends.ops.resize_nearest import sizes_and_scales
from edgecnn.frontends.sequences import as_images, as_sequences
from edgecnn.frontends.spelling import TfliteOperator, aten, tflite
from edgecnn.frontends.windows import image_rank_4
from edgecnn.ops.resize_bilinear import ResizeBilinearAttributes


@tflite("RESIZE_BILINEAR")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import RESIZE_BILINEAR to a constant size."""
    height, width = integers(b, op.inputs[1], "sizes")
    flags = bool(op.options.alignCorners), bool(op.options.halfPixelCenters)
    if all(flags):
        raise ModelFormatError("RESIZE_BILINEAR aligns corners and centres pixels at once")
    attributes = ResizeBilinearAttributes((height, width), *flags)
    return op.emit(b, "resize_bilinear", op.inputs[:1], attributes)


def from_nchw(b: GraphBuilder, x: Value, attributes: ResizeBilinearAttributes) -> Value:
    """Resize NCHW by one of TFLite's conventions."""
    image_rank_4(b, x)
    return b.nchw(b.emit("resize_bilinear", [b.nhwc(x)], attributes))


def _resized(
    b: GraphBuilder,
    x: Value,
    size: Sequence[int] | None,
    align_corners: bool,
    factors: Sequence[float] | None,
) -> Value:
    image = image_rank_4(b, x)
    whole, scales = sizes_and_scales(image, size, factors)
    exact = all(abs(s * m - n) < 1e-6 * n for n, m, s in zip(image, whole, scales, strict=True))
    if not align_corners and not exact:
        raise Unsupported(
            f"its scale factors lead from {image[0]}x{image[1]} to a broken size",
            "give interpolate a size, or recompute_scale_factor=True",
        )
    return from_nchw(b, x, ResizeBilinearAttributes(whole, align_corners, not align_corners))


@aten("upsample_bilinear2d.vec")
def from_aten(
    b: GraphBuilder,
    x: Value,
    size: Sequence[int] | None,
    align_corners: bool,
    factors: Sequence[float] | None = None,
) -> Value:
    """Import upsample_bilinear2d: with corners aligned, or with pixels centred."""
    return _resized(b, x, size, align_corners, factors)


@aten("upsample_bilinear2d.default")
def from_aten_sized(
    b: GraphBuilder,
    x: Value,
    size: Sequence[int],
    align_corners: bool,
    down: float | None = None,
    across: float | None = None,
) -> Value:
    """Import the core spelling of upsample_bilinear2d."""
    factors = None if down is None or across is None else (down, across)
    return _resized(b, x, size, align_corners, factors)


@aten("upsample_linear1d.vec")
def from_aten_1d(
    b: GraphBuilder,
    x: Value,
    size: Sequence[int] | None,
    align_corners: bool,
    factors: Sequence[float] | None = None,
) -> Value:
    """Import upsample_linear1d, as an image of one row."""
    wide = None if size is None else (1, size[0])
    wider = None if factors is None else (1.0, factors[0])
    return as_sequences(b, _resized(b, as_images(b, x), wide, align_corners, wider))
