"""Maximum pooling: ATen's max_pool2d and its kin, ONNX's MaxPool, TFLite's MAX_POOL_2D."""

from __future__ import annotations

from collections.abc import Sequence

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
from edgecnn.ops.max_pool2d import MaxPool2DAttributes


@tflite("MAX_POOL_2D")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import MAX_POOL_2D."""
    o = op.options
    size, stride = (o.filterHeight, o.filterWidth), (o.strideH, o.strideW)
    padding = tflite_window_padding(o.padding, b.shape(op.inputs[0] or ""), size, stride)
    activation = fused_activation(o.fusedActivationFunction)
    return op.emit(
        b, "max_pool2d", op.inputs, MaxPool2DAttributes(size, stride, padding, activation)
    )


def from_nchw(b: GraphBuilder, x: Value, attributes: MaxPool2DAttributes) -> Value:
    """Import maximum pooling of NCHW."""
    return b.nchw(b.emit("max_pool2d", [b.nhwc(x)], attributes))


@aten("max_pool2d.default", "max_pool2d_with_indices.default")
def from_aten(
    b: GraphBuilder,
    x: Value,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
    ceil_mode: bool = False,
) -> Value:
    """Import max_pool2d; what ceil_mode adds is padding at the end."""
    if as_pair(dilation) != (1, 1):
        raise Unsupported(f"its dilation is {tuple(dilation)}; only 1 is supported")
    size = as_pair(kernel)
    steps = as_pair(stride) if stride else size
    image = image_rank_4(b, x)
    amounts = pooling_padding(image, size, steps, as_pair(padding), ceil_mode)
    return from_nchw(b, x, MaxPool2DAttributes(size, steps, amounts))


def from_ncl(b: GraphBuilder, x: Value, attributes: MaxPool2DAttributes) -> Value:
    """Import maximum pooling of (N, C, L), as images of one row."""
    return as_sequences(b, from_nchw(b, as_images(b, x), attributes))


@aten("max_pool1d.default", "max_pool1d_with_indices.default")
def from_aten_1d(
    b: GraphBuilder,
    x: Value,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    ceil_mode: bool = False,
) -> Value:
    """Import max_pool1d."""
    size, steps = beside(kernel, 1), beside(stride, 1) if stride else ()
    amounts, gaps = beside(padding, 0), beside(dilation, 1)
    return as_sequences(b, from_aten(b, as_images(b, x), size, steps, amounts, gaps, ceil_mode))


@aten("adaptive_max_pool1d.default")
def from_aten_adaptive_1d(b: GraphBuilder, x: Value, output: Sequence[int]) -> Value:
    """Import adaptive_max_pool1d where its windows are all alike."""
    return as_sequences(b, from_aten_adaptive(b, as_images(b, x), beside(output, 1)))


@aten("adaptive_max_pool2d.default")
def from_aten_adaptive(b: GraphBuilder, x: Value, output: Sequence[int]) -> Value:
    """Import adaptive_max_pool2d where its windows are all alike."""
    size = adaptive_window(image_rank_4(b, x), as_pair(output))
    return from_nchw(b, x, MaxPool2DAttributes(size, size))


@onnx("MaxPool")
@also_sequences
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import MaxPool; what ceil_mode adds is padding at the end."""
    if node.attributes.get("storage_order", 0):
        raise Unsupported("its storage order is column-major")
    image = image_rank_4(b, node.value(0))
    window = pooling_window(node, image)
    amounts = ceil_padding(node, window, image)
    return from_nchw(b, node.value(0), MaxPool2DAttributes(window.size, window.stride, amounts))


@onnx("GlobalMaxPool")
@also_sequences
def from_onnx_global(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import GlobalMaxPool as one window over the whole image."""
    size = image_rank_4(b, node.value(0))
    return from_nchw(b, node.value(0), MaxPool2DAttributes(size, size))
