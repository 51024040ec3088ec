"""ReLU: ATen's relu, ONNX's Relu, TFLite's RELU."""

from __future__ import annotations

from edgecnn.frontends.builder import GraphBuilder, Value
from edgecnn.frontends.spelling import OnnxNode, TfliteOperator, aten, onnx, tflite


@tflite("RELU")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import RELU."""
    return op.emit(b, "relu", op.inputs)


@aten("relu.default", "relu_.default")
def from_aten(b: GraphBuilder, x: Value) -> Value:
    """Import relu."""
    return b.emit("relu", [x])


@onnx("Relu")
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import Relu."""
    return b.emit("relu", [node.value(0)])
