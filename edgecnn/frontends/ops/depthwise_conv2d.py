"""Depthwise convolution: TFLite's DEPTHWISE_CONV_2D. ATen's comes in as a grouped conv2d."""

from __future__ import annotations

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.spelling import TfliteOperator, fused_activation, tflite
from edgecnn.frontends.windows import tflite_window_padding
from edgecnn.ops.depthwise_conv2d import DepthwiseConv2DAttributes
from edgecnn.windows import Padding, Pair


@tflite("DEPTHWISE_CONV_2D")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import DEPTHWISE_CONV_2D; the depth multiplier follows from the shapes."""
    o = op.options
    image, weights = b.shape(op.inputs[0] or ""), b.shape(op.inputs[1] or "")
    stride, dilation = (o.strideH, o.strideW), (o.dilationHFactor, o.dilationWFactor)
    attributes = DepthwiseConv2DAttributes(
        stride=stride,
        padding=tflite_window_padding(o.padding, image, weights[1:3], stride, dilation),
        dilation=dilation,
        activation=fused_activation(o.fusedActivationFunction),
    )
    return op.emit(b, "depthwise_conv2d", op.inputs, attributes)


def depthwise_from_nchw(
    b: GraphBuilder,
    x: Value,
    weights: Value,
    bias: Value | None,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
) -> Value:
    """Import a convolution of NCHW with one group a channel; weights are (C * M, 1, KH, KW)."""
    data = b.data(weights)
    if data is None:
        raise Unsupported("its weights are computed by the network; they must be constant")
    filters = b.constant(data.transpose(1, 2, 3, 0), weights)
    attributes = DepthwiseConv2DAttributes(stride, padding, dilation)
    return b.nchw(b.emit("depthwise_conv2d", [b.nhwc(x), filters, bias], attributes))
