"""Elementwise minimum: ATen's minimum, ONNX's Min, TFLite's MINIMUM."""

from __future__ import annotations

from edgecnn.frontends.builder import GraphBuilder, Value
from edgecnn.frontends.operands import number, operand
from edgecnn.frontends.ops.relu6 import from_bounds
from edgecnn.frontends.spelling import OnnxNode, TfliteOperator, aten, onnx, tflite


@tflite("MINIMUM")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import MINIMUM."""
    return op.emit(b, "minimum", op.inputs)


@aten("minimum.default", "min.other", "fmin.default")
def from_aten(b: GraphBuilder, x: Value, y: Value) -> Value:
    """Import the minimum of two tensors; that of a tensor and a number is a clamp."""
    for one, other in ((x, y), (y, x)):
        value = number(b, other)
        fits = len(b.shape(other)) <= len(b.shape(one))
        if value is not None and b.data(one) is None and fits:
            return from_bounds(b, one, None, value)
    return b.emit("minimum", [operand(b, x), operand(b, y)])


@onnx("Min")
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import Min of any number of tensors."""
    result = node.value(0)
    for position in range(1, len(node.inputs)):
        result = from_aten(b, result, node.value(position))
    return result
