"""Convolution: ATen's conv2d and convolution, ONNX's Conv, TFLite's CONV_2D."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.errors import ModelFormatError
from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.onnx_sequences import also_sequences
from edgecnn.frontends.onnx_windows import onnx_window
from edgecnn.frontends.ops.depthwise_conv2d import depthwise_from_nchw
from edgecnn.frontends.ops.transpose_conv2d import from_aten as transposed_images
from edgecnn.frontends.ops.transpose_conv2d import from_aten_1d as transposed_sequences
from edgecnn.frontends.sequences import as_images, as_sequences, beside, weights_as_images
from edgecnn.frontends.spelling import (
    OnnxNode,
    TfliteOperator,
    aten,
    fused_activation,
    onnx,
    tflite,
)
from edgecnn.frontends.windows import as_pair, image_rank_4, tflite_window_padding
from edgecnn.ops.conv2d import Conv2DAttributes
from edgecnn.windows import Padding, Pair


@tflite("CONV_2D")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import CONV_2D; the number of groups follows from the shapes."""
    o = op.options
    image, weights = b.shape(op.inputs[0] or ""), b.shape(op.inputs[1] or "")
    stride, dilation = (o.strideH, o.strideW), (o.dilationHFactor, o.dilationWFactor)
    attributes = Conv2DAttributes(
        stride=stride,
        padding=tflite_window_padding(o.padding, image, weights[1:3], stride, dilation),
        dilation=dilation,
        groups=image[3] // weights[3],
        activation=fused_activation(o.fusedActivationFunction),
    )
    return op.emit(b, "conv2d", op.inputs, attributes)


def from_nchw(
    b: GraphBuilder,
    x: Value,
    weights: Value,
    bias: Value | None,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
) -> Value:
    """Import a convolution of NCHW with weights (O, C / groups, KH, KW).

    One group for each of several input channels makes it a depthwise convolution.
    """
    data = b.data(weights)
    image_rank_4(b, x)
    if data is None:
        raise Unsupported("its weights are computed by the network; they must be constant")
    if groups > 1 and groups == b.shape(x)[1]:
        return depthwise_from_nchw(b, x, weights, bias, stride, padding, dilation)
    filters = b.constant(data.transpose(0, 2, 3, 1), weights)
    attributes = Conv2DAttributes(stride, padding, dilation, groups)
    return b.nchw(b.emit("conv2d", [b.nhwc(x), filters, bias], attributes))


def from_ncl(
    b: GraphBuilder,
    x: Value,
    weights: Value,
    bias: Value | None,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
    groups: int,
) -> Value:
    """Import a convolution of (N, C, L) with weights (O, C / groups, K), as images of one row.

    Stride, padding and dilation are those of the images: nothing in height.
    """
    images, filters = as_images(b, x), weights_as_images(b, weights)
    return as_sequences(b, from_nchw(b, images, filters, bias, stride, padding, dilation, groups))


@aten("conv2d.default")
def from_aten(
    b: GraphBuilder,
    x: Value,
    weights: Value,
    bias: Value | None = None,
    stride: Sequence[int] = (1, 1),
    padding: Sequence[int] = (0, 0),
    dilation: Sequence[int] = (1, 1),
    groups: int = 1,
) -> Value:
    """Import conv2d with explicit padding."""
    h, w = as_pair(padding)
    return from_nchw(b, x, weights, bias, as_pair(stride), (h, h, w, w), as_pair(dilation), groups)


@aten("conv2d.padding")
def from_aten_mode(
    b: GraphBuilder,
    x: Value,
    weights: Value,
    bias: Value | None = None,
    stride: Sequence[int] = (1, 1),
    padding: str = "valid",
    dilation: Sequence[int] = (1, 1),
    groups: int = 1,
) -> Value:
    """Import conv2d with padding "same" (stride 1, the odd row or column at the end) or "valid"."""
    dilations, sizes = as_pair(dilation), b.shape(weights)[2:]
    totals = [
        d * (k - 1) if padding == "same" else 0 for d, k in zip(dilations, sizes, strict=True)
    ]
    (top, left), (down, across) = (n // 2 for n in totals), totals
    amounts = (top, down - top, left, across - left)
    return from_nchw(b, x, weights, bias, as_pair(stride), amounts, dilations, groups)


@aten("conv1d.default")
def from_aten_1d(
    b: GraphBuilder,
    x: Value,
    weights: Value,
    bias: Value | None = None,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    groups: int = 1,
) -> Value:
    """Import conv1d with explicit padding."""
    left = beside(padding, 0)[1]
    steps, gaps = beside(stride, 1), beside(dilation, 1)
    return from_ncl(b, x, weights, bias, steps, (0, 0, left, left), gaps, groups)


@aten("conv1d.padding")
def from_aten_1d_mode(
    b: GraphBuilder,
    x: Value,
    weights: Value,
    bias: Value | None = None,
    stride: Sequence[int] = (1,),
    padding: str = "valid",
    dilation: Sequence[int] = (1,),
    groups: int = 1,
) -> Value:
    """Import conv1d with padding "same" or "valid"."""
    images, filters = as_images(b, x), weights_as_images(b, weights)
    steps, gaps = beside(stride, 1), beside(dilation, 1)
    return as_sequences(b, from_aten_mode(b, images, filters, bias, steps, padding, gaps, groups))


@aten("convolution.default")
def from_core_aten(
    b: GraphBuilder,
    x: Value,
    weights: Value,
    bias: Value | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Value:
    """Import convolution of core ATen, which also spells the transposed and 1-D kinds."""
    is_sequence = len(b.shape(x)) == 3
    if transposed:
        turned = transposed_sequences if is_sequence else transposed_images
        return turned(b, x, weights, bias, stride, padding, output_padding, groups, dilation)
    plain = from_aten_1d if is_sequence else from_aten
    return plain(b, x, weights, bias, stride, padding, dilation, groups)


@onnx("Conv")
@also_sequences
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import Conv of images or sequences."""
    x, weights, bias = node.value(0), node.value(1), node.optional(2)
    image, shape, groups = image_rank_4(b, x), b.shape(weights), node.attributes.get("group", 1)
    if len(shape) != 4 or groups < 1 or shape[0] % groups or b.shape(x)[1] != shape[1] * groups:
        raise ModelFormatError(
            f"Conv at '{b.scope}' has weights of shape {shape} in {groups} groups for an input of "
            f"shape {b.shape(x)}"
        )
    if bias is not None and (b.data(bias) is None or b.shape(bias) != shape[:1]):
        raise Unsupported("its bias is no constant with a value for each output channel")
    w = onnx_window(node, image, (shape[2], shape[3]))
    return from_nchw(b, x, weights, bias, w.stride, w.padding, w.dilation, groups)
