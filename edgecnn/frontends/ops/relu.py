"""ReLU: ATen's relu and clamp_min, TFLite's RELU."""

from __future__ import annotations

from edgecnn.frontends.builder import GraphBuilder, Value
from edgecnn.frontends.spelling import TfliteOperator, aten, tflite


@tflite("RELU")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import RELU."""
    return op.emit(b, "relu", op.inputs)


@aten("relu.default", "relu_.default")
def from_aten(b: GraphBuilder, x: Value) -> Value:
    """Import relu."""
    return b.emit("relu", [x])
