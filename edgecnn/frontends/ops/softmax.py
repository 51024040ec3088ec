"""Softmax: ATen's softmax, TFLite's SOFTMAX."""

from __future__ import annotations

from typing import Any

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.spelling import TfliteOperator, aten, tflite
from edgecnn.ops.softmax import SoftmaxAttributes


@tflite("SOFTMAX")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import SOFTMAX."""
    return op.emit(b, "softmax", op.inputs, SoftmaxAttributes(float(op.options.beta)))


def over_axis(b: GraphBuilder, x: Value, axis: int) -> Value:
    """Import a softmax over any axis, which is moved to the end and back."""
    rank = len(b.shape(x))
    axis %= rank
    if axis == rank - 1:
        return b.emit("softmax", [x], SoftmaxAttributes())
    order = (*(i for i in range(rank) if i != axis), axis)
    y = b.emit("softmax", [b.transpose(x, order, "_last")], SoftmaxAttributes())
    return b.transpose(y, tuple(order.index(i) for i in range(rank)), "_back")


@aten("softmax.int", "_softmax.default")
def from_aten(b: GraphBuilder, x: Value, dim: int, conversion: Any = None) -> Value:
    """Import softmax in float32."""
    if conversion is True or str(conversion) not in ("None", "False", "torch.float32"):
        raise Unsupported(f"it converts its input ({conversion}); only float32 is supported")
    return over_axis(b, x, dim)


@aten("log_softmax.int", "_log_softmax.default")
def from_aten_log(b: GraphBuilder, x: Value, dim: int, conversion: Any = None) -> Value:
    """Refuse log_softmax."""
    raise Unsupported(
        "log-softmax is not supported",
        "leave it out, which keeps the order of the classes, or use Softmax",
    )
