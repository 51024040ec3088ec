"""Transposed convolution: ATen's conv_transpose, ONNX's ConvTranspose, TFLite's TRANSPOSE_CONV."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgecnn.errors import ModelFormatError
from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.constants import integers
from edgecnn.frontends.onnx_sequences import also_sequences
from edgecnn.frontends.sequences import as_images, as_sequences, beside, weights_as_images
from edgecnn.frontends.spelling import (
    OnnxNode,
    TfliteOperator,
    aten,
    fused_activation,
    onnx,
    tflite,
)
from edgecnn.frontends.windows import SAME, as_pair, image_rank_4
from edgecnn.ir import Array
from edgecnn.ops.transpose_conv2d import TransposeConv2DAttributes
from edgecnn.windows import Padding, Pair, transpose_start


@tflite("TRANSPOSE_CONV")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import TRANSPOSE_CONV to a constant shape; weights and image follow that shape."""
    o, (weights, x) = op.options, op.inputs[1:3]
    shape, kernel = integers(b, op.inputs[0], "output sizes"), b.shape(weights or "")
    if len(shape) != 4 or len(kernel) != 4 or min(o.strideH, o.strideW) < 1:
        raise ModelFormatError(f"TRANSPOSE_CONV to {shape} with weights of {kernel}")
    stride, size = (o.strideH, o.strideW), (shape[1], shape[2])
    is_same = o.padding == SAME
    start = transpose_start(size, (kernel[1], kernel[2]), stride) if is_same else (0, 0)
    activation = fused_activation(getattr(o, "fusedActivationFunction", 0))
    attributes = TransposeConv2DAttributes(size, stride, start, activation)
    bias = op.inputs[3] if len(op.inputs) > 3 else None
    return op.emit(b, "transpose_conv2d", [x, weights, bias], attributes)


def _ungrouped(weights: Array, groups: int) -> Array:
    """Weights (I, O / groups, KH, KW) as (I, O, KH, KW): zeros between different groups."""
    inputs, filters = weights.shape[:2]
    if inputs % groups:
        raise Unsupported(f"its {inputs} channels are no whole number of groups of {groups}")
    whole = np.zeros((inputs, filters * groups, *weights.shape[2:]), weights.dtype)
    depth = inputs // groups
    for g in range(groups):
        ins, outs = slice(g * depth, (g + 1) * depth), slice(g * filters, (g + 1) * filters)
        whole[ins, outs] = weights[ins]
    return whole


def _dilated(weights: Array, dilation: Pair) -> Array:
    """Weights (I, O, KH, KW) with zeros between them, so that a dilation of 1 does the same."""
    height, width = ((n - 1) * d + 1 for n, d in zip(weights.shape[2:], dilation, strict=True))
    whole = np.zeros((*weights.shape[:2], height, width), weights.dtype)
    whole[:, :, :: dilation[0], :: dilation[1]] = weights
    return whole


def from_nchw(
    b: GraphBuilder,
    x: Value,
    weights: Value,
    bias: Value | None,
    stride: Pair,
    padding: Padding,
    extra: Pair,
    dilation: Pair,
    groups: int,
) -> Value:
    """Import a transposed convolution of NCHW with weights (I, O / groups, KH, KW).

    ``padding`` is cut off the output, ``extra`` added below and to the right. TFLite has neither
    dilation nor groups here: both become weights of zero.
    """
    (height, width), data = image_rank_4(b, x), b.data(weights)
    if data is None:
        raise Unsupported("its weights are computed by the network; they must be constant")
    filters = _dilated(_ungrouped(data, groups), dilation)
    top, bottom, left, right = padding
    size = (
        (height - 1) * stride[0] + filters.shape[2] - top - bottom + extra[0],
        (width - 1) * stride[1] + filters.shape[3] - left - right + extra[1],
    )
    if min(padding) < 0:
        raise Unsupported("its padding is negative")
    kernel = b.constant(filters.transpose(1, 2, 3, 0), weights)
    attributes = TransposeConv2DAttributes(size, stride, (top, left))
    return b.nchw(b.emit("transpose_conv2d", [b.nhwc(x), kernel, bias], attributes))


@aten("conv_transpose2d.input")
def from_aten(
    b: GraphBuilder,
    x: Value,
    weights: Value,
    bias: Value | None = None,
    stride: Sequence[int] = (1, 1),
    padding: Sequence[int] = (0, 0),
    output_padding: Sequence[int] = (0, 0),
    groups: int = 1,
    dilation: Sequence[int] = (1, 1),
) -> Value:
    """Import conv_transpose2d."""
    (h, w), extra = as_pair(padding), as_pair(output_padding)
    cut, step = (h, h, w, w), as_pair(stride)
    return from_nchw(b, x, weights, bias, step, cut, extra, as_pair(dilation), groups)


@aten("conv_transpose1d.default")
def from_aten_1d(
    b: GraphBuilder,
    x: Value,
    weights: Value,
    bias: Value | None = None,
    stride: Sequence[int] = (1,),
    padding: Sequence[int] = (0,),
    output_padding: Sequence[int] = (0,),
    groups: int = 1,
    dilation: Sequence[int] = (1,),
) -> Value:
    """Import conv_transpose1d, as an image of one row."""
    y = from_aten(
        b,
        as_images(b, x),
        weights_as_images(b, weights),
        bias,
        beside(stride, 1),
        beside(padding, 0),
        beside(output_padding, 0),
        groups,
        beside(dilation, 1),
    )
    return as_sequences(b, y)


# --- ONNX -----------------------------------------------------------------------------------------


def _onnx_cut(
    image: Pair, kernel: Pair, stride: Pair, extra: Pair, node: OnnxNode
) -> tuple[Padding, Pair]:
    """ONNX's padding, which ``output_shape`` or ``auto_pad`` may stand for, and output padding."""
    a = node.attributes
    mode, wanted = a.get("auto_pad", "NOTSET"), a.get("output_shape")
    if wanted is None and mode in ("NOTSET", "VALID"):
        top, left, bottom, right = a.get("pads", (0, 0, 0, 0)) if mode == "NOTSET" else (0,) * 4
        return (top, bottom, left, right), extra
    if wanted is None:
        wanted = [n * s for n, s in zip(image, stride, strict=True)]
    totals = [
        s * (n - 1) + e + k - m
        for n, k, s, e, m in zip(image, kernel, stride, extra, wanted[-2:], strict=True)
    ]
    # A negative total is rows of nothing but bias at the end.
    more = (extra[0] + max(0, -totals[0]), extra[1] + max(0, -totals[1]))
    halves = [(max(0, t) // 2, max(0, t) - max(0, t) // 2) for t in totals]
    if mode != "SAME_UPPER":
        halves = [(large, small) for small, large in halves]
    (top, bottom), (left, right) = halves
    return (top, bottom, left, right), more


@onnx("ConvTranspose")
@also_sequences
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import ConvTranspose of images or sequences."""
    x, weights, bias, a = node.value(0), node.value(1), node.optional(2), node.attributes
    image, groups = image_rank_4(b, x), int(a.get("group", 1))
    shape, channels = b.shape(weights), b.shape(x)[1]
    if len(shape) != 4 or shape[0] != channels or groups < 1 or channels % groups:
        raise ModelFormatError(
            f"ConvTranspose at '{b.scope}' has weights of shape {shape} in {groups} groups for an "
            f"input of shape {b.shape(x)}"
        )
    if bias is not None and (b.data(bias) is None or b.shape(bias) != (shape[1] * groups,)):
        raise Unsupported("its bias is no constant with a value for each output channel")
    stride, dilation = as_pair(a.get("strides", (1, 1))), as_pair(a.get("dilations", (1, 1)))
    extra = as_pair(a.get("output_padding", (0, 0)))
    kernel = ((shape[2] - 1) * dilation[0] + 1, (shape[3] - 1) * dilation[1] + 1)
    cut, extra = _onnx_cut(image, kernel, stride, extra, node)
    return from_nchw(b, x, weights, bias, stride, cut, extra, dilation, groups)
