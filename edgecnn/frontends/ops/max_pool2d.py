"""Maximum pooling: ATen's max_pool2d and its kin, TFLite's MAX_POOL_2D."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.spelling import TfliteOperator, aten, fused_activation, tflite
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


@aten("adaptive_max_pool2d.default")
def from_aten_adaptive(b: GraphBuilder, x: Value, output: Sequence[int]) -> Value:
    """Import adaptive_max_pool2d where its windows are all alike."""
    size = adaptive_window(image_rank_4(b, x), as_pair(output))
    return from_nchw(b, x, MaxPool2DAttributes(size, size))
