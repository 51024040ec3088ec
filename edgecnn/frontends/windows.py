"""How the front ends spell the padding of sliding windows."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.errors import ModelFormatError
from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.ir import Shape
from edgecnn.windows import Padding, Pair, same_padding

#: TFLite's Padding enumeration.
SAME, VALID = 0, 1


def tflite_window_padding(
    mode: int, image: Shape, size: Shape, stride: Pair, dilation: Pair = (1, 1)
) -> Padding:
    """Explicit (top, bottom, left, right) of TFLite's SAME or VALID over an NHWC image."""
    if len(image) != 4:
        raise ModelFormatError(f"an image of shape {image} has not 4 dimensions")
    if min(*stride, *dilation, *size) < 1:
        raise ModelFormatError("a window has a size, stride or dilation under 1")
    if mode == VALID:
        return 0, 0, 0, 0
    return same_padding((image[1], image[2]), (size[0], size[1]), stride, dilation)


def as_pair(values: int | Sequence[int]) -> Pair:
    """(height, width) of an option that may be one number for both."""
    if isinstance(values, int):
        return values, values
    return (int(values[0]), int(values[-1]))


def image_rank_4(b: GraphBuilder, x: Value) -> Pair:
    """Height and width of an NCHW value; refuses what is no batch of images."""
    shape = b.shape(x)
    if len(shape) != 4:
        raise Unsupported(
            f"its input has the shape {shape}; only (N, C, H, W) is supported",
            "add a batch dimension, or a height of 1",
        )
    return shape[2], shape[3]


def pooling_padding(
    image: Pair, size: Pair, stride: Pair, padding: Pair, ceil_mode: bool
) -> Padding:
    """(top, bottom, left, right) of torch's symmetric pooling padding, longer under ceil_mode.

    With it the last window may hang over the end, but must start inside the image or the
    padding before it: torch's ``pooling_output_shape``.
    """

    def after(n: int, k: int, s: int, p: int) -> int:
        if not ceil_mode:
            return p
        count = -(-(n + 2 * p - k) // s) + 1
        if (count - 1) * s >= n + p:
            count -= 1
        return max(p, (count - 1) * s + k - n - p)

    (h, w) = padding
    return (
        h, after(image[0], size[0], stride[0], h),
        w, after(image[1], size[1], stride[1], w),
    )  # fmt: skip


def adaptive_window(image: Pair, output: Pair) -> Pair:
    """Size, and stride, of adaptive pooling whose windows are all alike."""
    if image[0] % output[0] or image[1] % output[1]:
        raise Unsupported(
            f"it pools {image[0]}x{image[1]} to {output[0]}x{output[1]}, which does not divide "
            "evenly",
            "pool to 1x1, or use AvgPool2d or MaxPool2d",
        )
    return image[0] // output[0], image[1] // output[1]
