"""Argmax: ATen's argmax, ONNX's ArgMax, TFLite's ARG_MAX."""

from __future__ import annotations

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.spelling import OnnxNode, TfliteOperator, aten, onnx, tflite
from edgecnn.ir import INT32
from edgecnn.ops.argmax import ArgmaxAttributes


@tflite("ARG_MAX")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import ARG_MAX over a constant axis."""
    axis = b.data(op.inputs[1])
    if axis is None:
        raise Unsupported("its axis is computed by the network; it must be constant")
    if op.output.dtype != INT32:
        raise Unsupported(f"it computes {op.output.dtype}; only int32 is supported")
    x = op.inputs[0] or ""
    attributes = ArgmaxAttributes(int(axis.reshape(-1)[0]) % len(b.shape(x)))
    return op.emit(b, "argmax", [x], attributes)


def over_axis(b: GraphBuilder, x: Value, axis: int, keep: bool) -> Value:
    """Import an argmax that drops its axis."""
    rank = len(b.shape(x))
    if keep:
        raise Unsupported("it keeps its axis", "drop it (keepdim=False)")
    if axis % rank == 0:
        raise Unsupported("it compares the samples of a batch", "name another axis")
    return b.emit("argmax", [x], ArgmaxAttributes(axis % rank))


@aten("argmax.default")
def from_aten(b: GraphBuilder, x: Value, dim: int | None = None, keepdim: bool = False) -> Value:
    """Import argmax."""
    if dim is None:
        raise Unsupported("it compares all values, of all samples", "name the dimension")
    return over_axis(b, x, dim, keepdim)


@onnx("ArgMax")
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import ArgMax."""
    if node.attributes.get("select_last_index", 0):
        raise Unsupported("it selects the last index; only the first is supported")
    axis, keep = int(node.attributes.get("axis", 0)), bool(node.attributes.get("keepdims", 1))
    return over_axis(b, node.value(0), axis, keep)
