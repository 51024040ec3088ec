"""Convolution: ATen's conv2d and convolution, TFLite's CONV_2D."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.ops.depthwise_conv2d import depthwise_from_nchw
from edgecnn.frontends.spelling import TfliteOperator, aten, fused_activation, tflite
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
    if transposed:
        raise Unsupported("it is a transposed convolution", "use Conv2d with a stride")
    return from_aten(b, x, weights, bias, stride, padding, dilation, groups)
