"""Sigmoid: ATen's sigmoid, ONNX's Sigmoid, TFLite's LOGISTIC."""

from __future__ import annotations

from edgecnn.frontends.builder import GraphBuilder, Value
from edgecnn.frontends.spelling import OnnxNode, TfliteOperator, aten, onnx, tflite


@tflite("LOGISTIC")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import LOGISTIC."""
    return op.emit(b, "sigmoid", op.inputs)


@aten("sigmoid.default", "sigmoid_.default", "special_expit.default")
def from_aten(b: GraphBuilder, x: Value) -> Value:
    """Import sigmoid."""
    return b.emit("sigmoid", [x])


@onnx("Sigmoid")
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import Sigmoid."""
    return b.emit("sigmoid", [node.value(0)])
