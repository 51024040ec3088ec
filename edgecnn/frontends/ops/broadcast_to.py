"""Broadcasting: ATen's expand and repeat_interleave, ONNX's Expand, TFLite's BROADCAST_TO."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.constants import integers
from edgecnn.frontends.ops.reshape import to_shape
from edgecnn.frontends.spelling import OnnxNode, TfliteOperator, aten, onnx, tflite
from edgecnn.ops.broadcast_to import BroadcastToAttributes


@tflite("BROADCAST_TO")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import BROADCAST_TO; the declared output shape says all."""
    return op.emit(b, "broadcast_to", op.inputs[:1], BroadcastToAttributes(op.output.shape))


def to_size(b: GraphBuilder, x: Value, size: Sequence[int]) -> Value:
    """Repeat a value to a size, new axes in front; nothing where it has that size."""
    shape = b.shape(x)
    whole = (1,) * (len(size) - len(shape)) + tuple(shape)
    target = np.broadcast_shapes(whole, tuple(size))
    if whole != shape:
        x = to_shape(b, x, whole)
    return x if target == whole else b.emit("broadcast_to", [x], BroadcastToAttributes(target))


@aten("expand.default", "broadcast_to.default", "expand_copy.default")
def from_aten(b: GraphBuilder, x: Value, size: Sequence[int], *, implicit: bool = False) -> Value:
    """Import expand; a size of -1 keeps the axis."""
    shape = (1,) * (len(size) - len(b.shape(x))) + tuple(b.shape(x))
    return to_size(b, x, [n if m == -1 else m for n, m in zip(shape, size, strict=True)])


@aten("expand_as.default")
def from_aten_like(b: GraphBuilder, x: Value, other: Value) -> Value:
    """Import expand_as."""
    return to_size(b, x, b.shape(other))


@aten("repeat_interleave.self_int")
def from_aten_interleave(
    b: GraphBuilder, x: Value, repeats: int, dim: int | None = None, *, output_size: int = 0
) -> Value:
    """Import repeat_interleave along an axis: each value several times in a row."""
    if dim is None:
        raise Unsupported("it repeats the flattened tensor", "name the dimension to repeat")
    shape = b.shape(x)
    axis = dim % len(shape)
    before, n, after = shape[:axis], shape[axis], shape[axis + 1 :]
    apart = to_shape(b, x, (*before, n, 1, *after))
    return to_shape(
        b, to_size(b, apart, (*before, n, repeats, *after)), (*before, n * repeats, *after)
    )


@onnx("Expand")
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import Expand, whose shape may also be broadcast."""
    return to_size(b, node.value(0), integers(b, node.value(1), "sizes"))
