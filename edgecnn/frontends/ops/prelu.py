"""PReLU: ATen's prelu, ONNX's PRelu, TFLite's PRELU."""

from __future__ import annotations

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.operands import number, operand
from edgecnn.frontends.ops.leaky_relu import with_slope
from edgecnn.frontends.spelling import OnnxNode, TfliteOperator, aten, onnx, tflite


@tflite("PRELU")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import PRELU."""
    return op.emit(b, "prelu", op.inputs)


def with_slopes(b: GraphBuilder, x: Value, slope: Value) -> Value:
    """Import a PReLU; one slope for all makes it a leaky ReLU."""
    if b.data(slope) is None:
        raise Unsupported("its slope is computed by the network; it must be constant")
    one = number(b, slope)
    return b.emit("prelu", [x, operand(b, slope)]) if one is None else with_slope(b, x, one)


def per_channel(b: GraphBuilder, x: Value, slope: Value) -> Value:
    """A vector of slopes as one for each channel (axis 1)."""
    data, rank = b.data(slope), len(b.shape(x))
    if data is None or data.ndim != 1 or data.size == 1 or rank <= 2:
        return slope
    return b.constant(data.reshape(-1, *(1,) * (rank - 2)), slope)


@aten("prelu.default", "_prelu_kernel.default")
def from_aten(b: GraphBuilder, x: Value, slope: Value) -> Value:
    """Import prelu, with one slope for each channel, or one for all."""
    return with_slopes(b, x, per_channel(b, x, slope))


@onnx("PRelu")
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import PRelu; before opset 7 a vector held one slope for each channel."""
    x, slope = node.value(0), node.value(1)
    shape, slopes = b.shape(x), b.shape(slope)
    broadcasts = len(slopes) != 1 or slopes[0] in (1, shape[-1])
    return with_slopes(b, x, slope if broadcasts else per_channel(b, x, slope))
