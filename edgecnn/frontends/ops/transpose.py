"""Transposition: ATen's permute and transpose, ONNX's Transpose, TFLite's TRANSPOSE."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.spelling import OnnxNode, TfliteOperator, aten, onnx, tflite
from edgecnn.ops.transpose import TransposeAttributes


@tflite("TRANSPOSE")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import TRANSPOSE with a constant order of axes."""
    order = b.data(op.inputs[1])
    if order is None:
        raise Unsupported("its order of axes is computed by the network; it must be constant")
    permutation = tuple(int(axis) for axis in order.reshape(-1))
    return op.emit(b, "transpose", op.inputs[:1], TransposeAttributes(permutation))


@aten("permute.default")
def from_aten(b: GraphBuilder, x: Value, dims: Sequence[int]) -> Value:
    """Import permute."""
    rank = len(b.shape(x))
    return b.emit("transpose", [x], TransposeAttributes(tuple(dim % rank for dim in dims)))


@aten("transpose.int", "swapaxes.default", "swapdims.default")
def from_aten_swap(b: GraphBuilder, x: Value, first: int, second: int) -> Value:
    """Import an exchange of two axes."""
    order = list(range(len(b.shape(x))))
    order[first], order[second] = order[second], order[first]
    return from_aten(b, x, order)


@aten("t.default")
def from_aten_t(b: GraphBuilder, x: Value) -> Value:
    """Import t, which leaves vectors alone."""
    return x if len(b.shape(x)) < 2 else from_aten_swap(b, x, 0, 1)


@aten("movedim.int")
def from_aten_movedim(b: GraphBuilder, x: Value, source: int, destination: int) -> Value:
    """Import movedim of one axis."""
    rank = len(b.shape(x))
    order = [axis for axis in range(rank) if axis != source % rank]
    order.insert(destination % rank, source % rank)
    return from_aten(b, x, order)


@onnx("Transpose")
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import Transpose, which reverses the axes where it names no order."""
    rank = len(b.shape(node.value(0)))
    order = node.attributes.get("perm", range(rank)[::-1])
    return b.emit("transpose", [node.value(0)], TransposeAttributes(tuple(order)))
