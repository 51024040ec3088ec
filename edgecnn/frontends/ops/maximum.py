"""Elementwise maximum: ATen's maximum, ONNX's Max, TFLite's MAXIMUM."""

from __future__ import annotations

from edgecnn.frontends.builder import GraphBuilder, Value
from edgecnn.frontends.extremum import from_any_number, from_pair
from edgecnn.frontends.spelling import OnnxNode, TfliteOperator, aten, onnx, tflite


@tflite("MAXIMUM")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import MAXIMUM."""
    return op.emit(b, "maximum", op.inputs)


@aten("maximum.default", "max.other", "fmax.default")
def from_aten(b: GraphBuilder, x: Value, y: Value) -> Value:
    """Import the maximum of two tensors."""
    return from_pair(b, "maximum", x, y)


@onnx("Max")
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import Max of any number of tensors."""
    return from_any_number(b, "maximum", node)
