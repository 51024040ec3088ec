"""Leaky ReLU: ATen's leaky_relu, ONNX's LeakyRelu, TFLite's LEAKY_RELU."""

from __future__ import annotations

from edgecnn.frontends.builder import GraphBuilder, Value
from edgecnn.frontends.spelling import OnnxNode, TfliteOperator, aten, onnx, tflite
from edgecnn.ops.leaky_relu import LeakyReluAttributes
from edgecnn.ops.table import TableAttributes


@tflite("LEAKY_RELU")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import LEAKY_RELU."""
    return op.emit(b, "leaky_relu", op.inputs, LeakyReluAttributes(float(op.options.alpha)))


def with_slope(b: GraphBuilder, x: Value, slope: float) -> Value:
    """Import a leaky ReLU of any slope; TFLite's kernel takes none under 0."""
    if slope < 0:
        return b.emit("table", [x], TableAttributes("leaky_relu", (float(slope),)))
    return b.emit("leaky_relu", [x], LeakyReluAttributes(float(slope)))


@aten("leaky_relu.default", "leaky_relu_.default")
def from_aten(b: GraphBuilder, x: Value, slope: float = 0.01) -> Value:
    """Import leaky_relu."""
    return with_slope(b, x, slope)


@onnx("LeakyRelu")
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import LeakyRelu."""
    return with_slope(b, node.value(0), float(node.attributes.get("alpha", 0.01)))
