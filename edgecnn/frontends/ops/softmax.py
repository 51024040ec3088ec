"""Softmax: ATen's softmax, ONNX's Softmax, TFLite's SOFTMAX."""

from __future__ import annotations

import math
from typing import Any

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.last_axis import emit_along
from edgecnn.frontends.ops.reshape import to_shape
from edgecnn.frontends.spelling import OnnxNode, TfliteOperator, aten, onnx, tflite
from edgecnn.ops.softmax import SoftmaxAttributes


@tflite("SOFTMAX")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import SOFTMAX."""
    return op.emit(b, "softmax", op.inputs, SoftmaxAttributes(float(op.options.beta)))


def over_axis(b: GraphBuilder, x: Value, axis: int) -> Value:
    """Import a softmax over any axis, which is moved to the end and back."""
    return emit_along(b, "softmax", x, axis, SoftmaxAttributes())


@aten("softmax.int", "_softmax.default")
def from_aten(b: GraphBuilder, x: Value, dim: int, conversion: Any = None) -> Value:
    """Import softmax in float32."""
    if conversion is True or str(conversion) not in ("None", "False", "torch.float32"):
        raise Unsupported(f"it converts its input ({conversion}); only float32 is supported")
    return over_axis(b, x, dim)


@onnx("Softmax")
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import Softmax: over one axis, before opset 13 over that axis and all behind it."""
    x, shape = node.value(0), b.shape(node.value(0))
    axis = int(node.attributes.get("axis", -1 if node.opset >= 13 else 1)) % len(shape)
    if node.opset >= 13 or math.prod(shape[axis + 1 :]) == 1:
        return over_axis(b, x, axis)
    rows = to_shape(b, x, (math.prod(shape[:axis]), math.prod(shape[axis:])))
    return to_shape(b, over_axis(b, rows, 1), shape)
