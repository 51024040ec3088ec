"""Tanh: ATen's tanh, ONNX's Tanh, TFLite's TANH."""

from __future__ import annotations

from edgecnn.frontends.builder import GraphBuilder, Value
from edgecnn.frontends.spelling import OnnxNode, TfliteOperator, aten, onnx, tflite


@tflite("TANH")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import TANH."""
    return op.emit(b, "tanh", op.inputs)


@aten("tanh.default", "tanh_.default")
def from_aten(b: GraphBuilder, x: Value) -> Value:
    """Import tanh."""
    return b.emit("tanh", [x])


@onnx("Tanh")
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import Tanh."""
    return b.emit("tanh", [node.value(0)])
