"""Hard swish: ATen's hardswish, ONNX's HardSwish, TFLite's HARD_SWISH."""

from __future__ import annotations

from edgecnn.frontends.builder import GraphBuilder, Value
from edgecnn.frontends.spelling import OnnxNode, TfliteOperator, aten, onnx, tflite


@tflite("HARD_SWISH")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import HARD_SWISH."""
    return op.emit(b, "hard_swish", op.inputs)


@aten("hardswish.default", "hardswish_.default")
def from_aten(b: GraphBuilder, x: Value) -> Value:
    """Import hardswish."""
    return b.emit("hard_swish", [x])


@onnx("HardSwish")
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import HardSwish."""
    return b.emit("hard_swish", [node.value(0)])
