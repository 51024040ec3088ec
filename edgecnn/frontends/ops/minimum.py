"""Elementwise minimum: ATen's minimum, ONNX's Min, TFLite's MINIMUM."""

from __future__ import annotations

from edgecnn.frontends.builder import GraphBuilder, Value
from edgecnn.frontends.extremum import from_any_number, from_pair
from edgecnn.frontends.spelling import OnnxNode, TfliteOperator, aten, onnx, tflite


@tflite("MINIMUM")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import MINIMUM."""
    return op.emit(b, "minimum", op.inputs)


@aten("minimum.default", "min.other", "fmin.default")
def from_aten(b: GraphBuilder, x: Value, y: Value) -> Value:
    """Import the minimum of two tensors."""
    return from_pair(b, "minimum", x, y)


@onnx("Min")
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import Min of any number of tensors."""
    return from_any_number(b, "minimum", node)
