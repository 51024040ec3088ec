"""Elementwise difference: ATen's sub and rsub, ONNX's Sub, TFLite's SUB."""

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
from edgecnn.ops.sub import SubAttributes


@tflite("SUB")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import SUB."""
    require_general_scales(op)
    activation = fused_activation(op.options.fusedActivationFunction)
    return op.emit(b, "sub", op.inputs, SubAttributes(activation))


@aten(
    "sub.Tensor", "sub_.Tensor", "sub.Scalar", "sub_.Scalar",
    "subtract.Tensor", "subtract_.Tensor", "subtract.Scalar", "subtract_.Scalar",
)  # fmt: skip
def from_aten(b: GraphBuilder, x: Value | float, y: Value | float, alpha: float = 1) -> Value:
    """Import a difference of two tensors, or of a tensor and a number."""
    terms = [operand(b, x), operand(b, times(b, y, alpha))]
    return b.emit("sub", [*terms], SubAttributes())


@aten("rsub.Tensor", "rsub.Scalar")
def from_aten_rsub(b: GraphBuilder, x: Value | float, y: Value | float, alpha: float = 1) -> Value:
    """Import a difference whose operands are the other way round."""
    return from_aten(b, y, x, alpha)


@onnx("Sub")
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import Sub."""
    return from_aten(b, node.value(0), node.value(1))
