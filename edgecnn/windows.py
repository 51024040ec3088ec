"""Windows sliding over NHWC images: what convolution and pooling have in common."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgecnn.ir import Array, Attributes, Shape

Pair = tuple[int, int]
Padding = tuple[int, int, int, int]


@dataclass(frozen=True)
class Window:
    """Size, stride, dilation as (height, width); padding as (top, bottom, left, right)."""

    size: Pair
    stride: Pair = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    dilation: Pair = (1, 1)

    @property
    def extent(self) -> Pair:
        """Height and width that a dilated window covers."""
        (h, w), (dh, dw) = self.size, self.dilation
        return (h - 1) * dh + 1, (w - 1) * dw + 1

    def output_size(self, height: int, width: int) -> Pair:
        """Number of window positions down and across; 0 or less where none fits."""
        top, bottom, left, right = self.padding
        eh, ew = self.extent
        return (
            (height + top + bottom - eh) // self.stride[0] + 1,
            (width + left + right - ew) // self.stride[1] + 1,
        )


@dataclass(frozen=True)
class RowWindow:
    """Which rows of an image (1, H, W, C) an operator needs for a row of its output.

    It takes ``size`` rows of each input, ``stride`` below those of the row before; the first ones
    begin ``above`` rows over the image. Rows outside of it count as ``fill`` in every byte; None
    where there must not be any. ``attributes`` are those of a node on such rows alone, without
    padding above and below.
    """

    attributes: Attributes
    size: int = 1
    stride: int = 1
    above: int = 0
    fill: int | None = None

    def rows(self, outputs: int) -> int:
        """Rows of an input for a number of rows of the output."""
        return self.size + (outputs - 1) * self.stride


def same_padding(image: Pair, size: Pair, stride: Pair, dilation: Pair = (1, 1)) -> Padding:
    """TFLite's SAME padding: ceil(n / stride) outputs, the odd row or column at the end."""

    def one(n: int, k: int, s: int, d: int) -> Pair:
        total = max(0, ((n + s - 1) // s - 1) * s + (k - 1) * d + 1 - n)
        return total // 2, total - total // 2

    (top, bottom) = one(image[0], size[0], stride[0], dilation[0])
    (left, right) = one(image[1], size[1], stride[1], dilation[1])
    return top, bottom, left, right


def tflite_padding(window: Window, image: Pair) -> str | None:
    """ "VALID" or "SAME" where TFLite's padding modes can express this window, else None.

    TFLite only keeps the mode and the output size, so SAME also stands for a window whose
    bottom or right padding is cut short without losing an output position.
    """
    if window.padding == (0, 0, 0, 0):
        return "VALID"
    same = same_padding(image, window.size, window.stride, window.dilation)
    starts_alike = (window.padding[0], window.padding[2]) == (same[0], same[2])
    height, width = image
    ceil_sizes = (-(-height // window.stride[0]), -(-width // window.stride[1]))
    if starts_alike and window.output_size(height, width) == ceil_sizes:
        return "SAME"
    return None


def extract(x: Array, window: Window, fill: float) -> Array:
    """Gather windows of (N, H, W, C) into a view of shape (N, OH, OW, KH, KW, C)."""
    top, bottom, left, right = window.padding
    padded = np.pad(
        x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=x.dtype.type(fill)
    )
    eh, ew = window.extent
    views: Array = np.lib.stride_tricks.sliding_window_view(  # type: ignore[call-overload]
        padded, (eh, ew), axis=(1, 2)
    )  # numpy 1.26's stub knows no tuple of axes
    (sh, sw), (dh, dw) = window.stride, window.dilation
    return views[:, ::sh, ::sw, :, ::dh, ::dw].transpose(0, 1, 2, 4, 5, 3)


def count_inside(window: Window, image: Pair) -> Array:
    """How many elements of each window lie inside the image: int array of shape (OH, OW)."""
    ones = np.ones((1, *image, 1), np.int64)
    return extract(ones, window, 0).sum(axis=(3, 4, 5))[0]


def image_output_shape(shape: Shape, window: Window, channels: int) -> Shape:
    """Shape of the output of a window over an NHWC tensor."""
    height, width = window.output_size(shape[1], shape[2])
    return shape[0], height, width, channels


def transpose_start(output: Pair, size: Pair, stride: Pair) -> Pair:
    """What TFLite's SAME cuts off the top and left of a transposed convolution's output."""
    top, _, left, _ = same_padding(output, size, stride)
    return top, left
