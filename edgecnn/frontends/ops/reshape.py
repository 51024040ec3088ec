"""Reshaping: ATen's view, flatten and kin, TFLite's RESHAPE, SQUEEZE and EXPAND_DIMS."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.spelling import TfliteOperator, aten, tflite
from edgecnn.ops.reshape import ReshapeAttributes


@tflite("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import a reshape; the declared output shape says all."""
    return op.emit(b, "reshape", op.inputs[:1], ReshapeAttributes(op.output_shape))


def to_shape(b: GraphBuilder, x: Value, shape: Sequence[int]) -> Value:
    """Import a reshape to a shape that may hold one -1."""
    known = math.prod(n for n in shape if n != -1)
    size = math.prod(b.shape(x))
    full = tuple(size // known if n == -1 else int(n) for n in shape)
    if math.prod(full) != size:
        raise Unsupported(
            f"it reshapes {b.shape(x)} to {tuple(shape)}", "do not write the batch size into shapes"
        )
    return b.emit("reshape", [x], ReshapeAttributes(full))


@aten("view.default", "reshape.default", "_unsafe_view.default")
def from_aten(b: GraphBuilder, x: Value, shape: Sequence[int]) -> Value:
    """Import view and reshape."""
    return to_shape(b, x, shape)


@aten("flatten.using_ints")
def from_aten_flatten(b: GraphBuilder, x: Value, start: int = 0, end: int = -1) -> Value:
    """Import flatten."""
    shape = b.shape(x)
    first, last = start % len(shape), end % len(shape)
    return to_shape(b, x, (*shape[:first], math.prod(shape[first : last + 1]), *shape[last + 1 :]))


@aten("unflatten.int")
def from_aten_unflatten(b: GraphBuilder, x: Value, dim: int, sizes: Sequence[int]) -> Value:
    """Import unflatten."""
    shape = b.shape(x)
    axis, known = dim % len(shape), math.prod(n for n in sizes if n != -1)
    full = [shape[axis] // known if n == -1 else n for n in sizes]
    return to_shape(b, x, (*shape[:axis], *full, *shape[axis + 1 :]))


@aten("squeeze.default", "squeeze.dim", "squeeze.dims")
def from_aten_squeeze(b: GraphBuilder, x: Value, dims: int | Sequence[int] | None = None) -> Value:
    """Import squeeze. Without dimensions it keeps the batch, whatever its size was."""
    shape = b.shape(x)
    if dims is None:
        dims = range(1, len(shape))
    axes = {dim % len(shape) for dim in ([dims] if isinstance(dims, int) else dims)}
    return to_shape(b, x, [n for i, n in enumerate(shape) if n != 1 or i not in axes])


@aten("unsqueeze.default")
def from_aten_unsqueeze(b: GraphBuilder, x: Value, dim: int) -> Value:
    """Import unsqueeze."""
    shape = list(b.shape(x))
    shape.insert(dim % (len(shape) + 1), 1)
    return to_shape(b, x, shape)
