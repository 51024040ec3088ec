"""Log-softmax: ATen's log_softmax, ONNX's LogSoftmax, TFLite's LOG_SOFTMAX."""

from __future__ import annotations

import math
from typing import Any

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.last_axis import emit_along
from edgecnn.frontends.ops.reshape import to_shape
from edgecnn.frontends.spelling import OnnxNode, TfliteOperator, aten, onnx, tflite


@tflite("LOG_SOFTMAX")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import LOG_SOFTMAX."""
    return op.emit(b, "log_softmax", op.inputs)


@aten("log_softmax.int", "_log_softmax.default")
def from_aten(b: GraphBuilder, x: Value, dim: int, conversion: Any = None) -> Value:
    """Import log_softmax in float32."""
    if conversion is True or str(conversion) not in ("None", "False", "torch.float32"):
        raise Unsupported(f"it converts its input ({conversion}); only float32 is supported")
    return emit_along(b, "log_softmax", x, dim)


@onnx("LogSoftmax")
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import LogSoftmax: over one axis, before opset 13 over that axis and all behind it."""
    x, shape = node.value(0), b.shape(node.value(0))
    axis = int(node.attributes.get("axis", -1 if node.opset >= 13 else 1)) % len(shape)
    if node.opset >= 13 or math.prod(shape[axis + 1 :]) == 1:
        return emit_along(b, "log_softmax", x, axis)
    rows = to_shape(b, x, (math.prod(shape[:axis]), math.prod(shape[axis:])))
    return to_shape(b, emit_along(b, "log_softmax", rows, 1), shape)
