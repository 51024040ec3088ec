"""Average pooling: ATen's avg_pool2d and its kin, ONNX's AveragePool, TFLite's AVERAGE_POOL_2D."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.onnx_sequences import also_sequences
from edgecnn.frontends.onnx_windows import ceil_padding, pooling_window
from edgecnn.frontends.sequences import as_images, as_sequences, beside
from edgecnn.frontends.spelling import (
    OnnxNode,
    TfliteOperator,
    aten,
    fused_activation,
    onnx,
    tflite,
)
from edgecnn.frontends.windows import (
    adaptive_window,
    as_pair,
    image_rank_4,
    pooling_padding,
    tflite_window_padding,
)
from edgecnn.ops.average_pool2d import AveragePool2DAttributes
from edgecnn.ops.mean import MeanAttributes
from edgecnn.ops.mul import MulAttributes
from edgecnn.ops.pad import PadAttributes
from edgecnn.windows import Padding, Pair, same_padding


@tflite("AVERAGE_POOL_2D")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import AVERAGE_POOL_2D."""
    o = op.options
    size, stride = (o.filterHeight, o.filterWidth), (o.strideH, o.strideW)
    padding = tflite_window_padding(o.padding, b.shape(op.inputs[0] or ""), size, stride)
    activation = fused_activation(o.fusedActivationFunction)
    return op.emit(
        b, "average_pool2d", op.inputs, AveragePool2DAttributes(size, stride, padding, activation)
    )


def from_nchw(
    b: GraphBuilder,
    x: Value,
    size: Pair,
    stride: Pair,
    padding: Padding = (0, 0, 0, 0),
    counted: Padding = (0, 0, 0, 0),
) -> Value:
    """Import average pooling of NCHW: ``counted`` zeros are averaged, ``padding`` is not.

    One window over the whole image is a mean over height and width.
    """
    x, name = b.nhwc(x), b.scope
    if any(counted):
        (top, bottom, left, right) = counted
        border = PadAttributes(((0, 0), (top, bottom), (left, right), (0, 0)))
        x = b.emit("pad", [x], border, name=f"{name}_pad")
    if size == b.shape(x)[1:3] and not any(padding):
        return b.nchw(b.emit("mean", [x], MeanAttributes((1, 2), keep_dims=True)))
    image = b.shape(x)[1], b.shape(x)[2]
    if any(padding) and padding != same_padding(image, size, stride):
        return b.nchw(_corrected(b, x, size, stride, padding))
    return b.nchw(b.emit("average_pool2d", [x], AveragePool2DAttributes(size, stride, padding)))


def _corrected(b: GraphBuilder, x: Value, size: Pair, stride: Pair, padding: Padding) -> Value:
    """Average NHWC with padding that is not counted, other than TFLite's SAME.

    Zeros are averaged too; each mean is then multiplied by what it lost by that.
    """
    name, (h, w) = b.scope, b.shape(x)[1:3]
    border = ((0, 0), padding[:2], padding[2:], (0, 0))
    ones = np.pad(np.ones((h, w), np.float32), border[1:3])
    x = b.emit("pad", [x], PadAttributes(border), name=f"{name}_pad")
    attributes = AveragePool2DAttributes(size, stride, (0, 0, 0, 0))
    y = b.emit("average_pool2d", [x], attributes, name=f"{name}_sums")
    windows = np.lib.stride_tricks.sliding_window_view(ones, size)[:: stride[0], :: stride[1]]
    counts = windows.sum(axis=(2, 3))
    if not counts.all():
        raise Unsupported("a window lies in the padding alone", "use less padding")
    lost = (size[0] * size[1] / counts).astype(np.float32)[None, :, :, None]
    return b.emit("mul", [y, b.constant(lost, f"{name}_factors")], MulAttributes(), name=name)


@aten("avg_pool2d.default")
def from_aten(
    b: GraphBuilder,
    x: Value,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Value:
    """Import avg_pool2d. What ceil_mode adds at the end, torch never counts."""
    if divisor_override is not None:
        raise Unsupported("it overrides the divisor", "scale the weights of the next layer")
    size = as_pair(kernel)
    steps, (h, w) = as_pair(stride) if stride else size, as_pair(padding)
    amounts = pooling_padding(image_rank_4(b, x), size, steps, (h, w), ceil_mode)
    if not count_include_pad:
        return from_nchw(b, x, size, steps, amounts)
    top, bottom, left, right = amounts
    # Without ceil_mode the last rows may lie under no window: crop nothing, count h and w.
    rest = (top - h, max(0, bottom - h), left - w, max(0, right - w))
    return from_nchw(b, x, size, steps, rest, (h, h, w, w))


def from_ncl(
    b: GraphBuilder,
    x: Value,
    size: Pair,
    stride: Pair,
    padding: Padding = (0, 0, 0, 0),
    counted: Padding = (0, 0, 0, 0),
) -> Value:
    """Import average pooling of (N, C, L), as images of one row."""
    return as_sequences(b, from_nchw(b, as_images(b, x), size, stride, padding, counted))


@aten("avg_pool1d.default")
def from_aten_1d(
    b: GraphBuilder,
    x: Value,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Value:
    """Import avg_pool1d."""
    size, steps, amounts = (
        beside(kernel, 1),
        beside(stride, 1) if stride else (),
        beside(padding, 0),
    )
    y = from_aten(b, as_images(b, x), size, steps, amounts, ceil_mode, count_include_pad)
    return as_sequences(b, y)


@aten("adaptive_avg_pool1d.default")
def from_aten_adaptive_1d(b: GraphBuilder, x: Value, output: Sequence[int]) -> Value:
    """Import adaptive_avg_pool1d where its windows are all alike."""
    return as_sequences(b, from_aten_adaptive(b, as_images(b, x), beside(output, 1)))


@aten("adaptive_avg_pool2d.default", "_adaptive_avg_pool2d.default")
def from_aten_adaptive(b: GraphBuilder, x: Value, output: Sequence[int]) -> Value:
    """Import adaptive_avg_pool2d where its windows are all alike."""
    size = adaptive_window(image_rank_4(b, x), as_pair(output))
    return from_nchw(b, x, size, size)


@onnx("AveragePool")
@also_sequences
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import AveragePool. What ceil_mode adds at the end is never counted."""
    x = node.value(0)
    image = image_rank_4(b, x)
    window = pooling_window(node, image)
    amounts = ceil_padding(node, window, image)
    if not node.attributes.get("count_include_pad", 0):
        return from_nchw(b, x, window.size, window.stride, amounts)
    (_, bottom, _, right), counted = amounts, window.padding
    rest = (0, bottom - counted[1], 0, right - counted[3])
    return from_nchw(b, x, window.size, window.stride, rest, counted)


@onnx("GlobalAveragePool")
@also_sequences
def from_onnx_global(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import GlobalAveragePool."""
    size = image_rank_4(b, node.value(0))
    return from_nchw(b, node.value(0), size, size)
