"""ReLU6: ATen's hardtanh(0, 6) and clamp(0, 6), TFLite's RELU6."""

from __future__ import annotations

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.spelling import TfliteOperator, aten, tflite


@tflite("RELU6")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import RELU6."""
    return op.emit(b, "relu6", op.inputs)


def from_bounds(b: GraphBuilder, x: Value, low: float | None, high: float | None) -> Value:
    """Import a clamp that is ReLU6 or ReLU."""
    if low == 0 and high == 6:
        return b.emit("relu6", [x])
    if low == 0 and high in (None, float("inf")):
        return b.emit("relu", [x])
    raise Unsupported(f"it clamps to {low} … {high}", "use ReLU or ReLU6")


@aten("relu6.default", "relu6_.default")
def from_aten(b: GraphBuilder, x: Value) -> Value:
    """Import relu6."""
    return from_bounds(b, x, 0, 6)


@aten("hardtanh.default", "hardtanh_.default")
def from_aten_hardtanh(b: GraphBuilder, x: Value, low: float = -1, high: float = 1) -> Value:
    """Import hardtanh with the bounds of ReLU6."""
    return from_bounds(b, x, low, high)


@aten("clamp.default", "clamp_.default", "clip.default", "clip_.default")
def from_aten_clamp(
    b: GraphBuilder, x: Value, min: float | None = None, max: float | None = None
) -> Value:
    """Import clamp with the bounds of ReLU6 or ReLU."""
    return from_bounds(b, x, min, max)


@aten("clamp_min.default", "clamp_min_.default")
def from_aten_clamp_min(b: GraphBuilder, x: Value, min: float) -> Value:
    """Import clamp_min at 0."""
    return from_bounds(b, x, min, None)
