"""ReLU6: ATen's hardtanh(0, 6) and clamp(0, 6), ONNX's Clip, TFLite's RELU6."""

from __future__ import annotations

import numpy as np

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.spelling import OnnxNode, TfliteOperator, aten, onnx, tflite
from edgecnn.ops.table import TableAttributes


@tflite("RELU6")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import RELU6."""
    return op.emit(b, "relu6", op.inputs)


def from_bounds(b: GraphBuilder, x: Value, low: float | None, high: float | None) -> Value:
    """Import a clamp: ReLU6, ReLU, or a table."""
    if low == 0 and high == 6:
        return b.emit("relu6", [x])
    if low == 0 and high in (None, float("inf")):
        return b.emit("relu", [x])
    bounds = (-np.inf if low is None else float(low), np.inf if high is None else float(high))
    return b.emit("table", [x], TableAttributes("clip", bounds))


@aten("relu6.default", "relu6_.default")
def from_aten(b: GraphBuilder, x: Value) -> Value:
    """Import relu6."""
    return from_bounds(b, x, 0, 6)


@aten("hardtanh.default", "hardtanh_.default")
def from_aten_hardtanh(b: GraphBuilder, x: Value, low: float = -1, high: float = 1) -> Value:
    """Import hardtanh."""
    return from_bounds(b, x, low, high)


@aten("clamp.default", "clamp_.default", "clip.default", "clip_.default")
def from_aten_clamp(
    b: GraphBuilder, x: Value, min: float | None = None, max: float | None = None
) -> Value:
    """Import clamp by numbers."""
    return from_bounds(b, x, min, max)


@aten("clamp_min.default", "clamp_min_.default")
def from_aten_clamp_min(b: GraphBuilder, x: Value, min: float) -> Value:
    """Import clamp_min."""
    return from_bounds(b, x, min, None)


@aten("clamp_max.default", "clamp_max_.default")
def from_aten_clamp_max(b: GraphBuilder, x: Value, max: float) -> Value:
    """Import clamp_max."""
    return from_bounds(b, x, None, max)


@onnx("Clip")
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import Clip; up to opset 10 its bounds are attributes, then inputs."""
    a, x = node.attributes, node.value(0)
    bounds = [a.get("min"), a.get("max")]
    if node.opset >= 11:
        bounds = [_bound(b, node.optional(position)) for position in (1, 2)]
    low, high = (None if n is None or abs(n) >= _LARGEST else float(n) for n in bounds)
    return x if low is None and high is None else from_bounds(b, x, low, high)


#: Bounds from here on bound nothing.
_LARGEST = float(np.finfo(np.float32).max)


def _bound(b: GraphBuilder, value: Value | None) -> float | None:
    data = b.data(value)
    if value is not None and (data is None or data.size != 1):
        raise Unsupported("its bounds are computed by the network; they must be constant")
    return None if data is None else float(data.reshape(-1)[0])
