"""Elementwise sum: ATen's add, ONNX's Add and Sum, TFLite's ADD."""

from __future__ import annotations

from edgecnn.frontends.builder import GraphBuilder, Value
from edgecnn.frontends.operands import operand, require_general_scales, times
from edgecnn.frontends.spelling import (
    OnnxNode,
    TfliteOperator,
    aten,
    fused_activation,
    onnx,
    tflite,
)
from edgecnn.ops.add import AddAttributes


@tflite("ADD")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import ADD."""
    require_general_scales(op)
    activation = fused_activation(op.options.fusedActivationFunction)
    return op.emit(b, "add", op.inputs, AddAttributes(activation))


@aten("add.Tensor", "add_.Tensor", "add.Scalar", "add_.Scalar")
def from_aten(b: GraphBuilder, x: Value | float, y: Value | float, alpha: float = 1) -> Value:
    """Import a sum of two tensors, or of a tensor and a number."""
    terms = [operand(b, x), operand(b, times(b, y, alpha))]
    return b.emit("add", [*terms], AddAttributes())


@onnx("Add", "Sum")
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import Add, and Sum as Adds one after the other."""
    total = node.value(0)
    for position in range(1, len(node.inputs)):
        total = b.emit(
            "add", [operand(b, total), operand(b, node.value(position))], AddAttributes()
        )
    return total
