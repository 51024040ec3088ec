"""Reshaping: ATen's view and kin, ONNX's Reshape and kin, TFLite's RESHAPE and its kin."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.spelling import OnnxNode, TfliteOperator, aten, onnx, tflite
from edgecnn.ops.reshape import ReshapeAttributes


@tflite("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import a reshape; the declared output shape says all."""
    return op.emit(b, "reshape", op.inputs[:1], ReshapeAttributes(op.output.shape))


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


@onnx("Reshape")
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import Reshape; a 0 keeps the size of that axis unless allowzero says otherwise."""
    x, wanted = node.value(0), _integers(b, node.value(1))
    shape = b.shape(x)
    if 0 in wanted[len(shape) :] or (0 in wanted and node.attributes.get("allowzero", 0)):
        raise Unsupported(f"it reshapes {shape} to {tuple(wanted)}")
    return to_shape(b, x, [shape[i] if n == 0 else n for i, n in enumerate(wanted)])


@onnx("Flatten")
def from_onnx_flatten(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import Flatten, which always gives two dimensions."""
    x, axis = node.value(0), int(node.attributes.get("axis", 1))
    shape = b.shape(x)
    split = axis + len(shape) if axis < 0 else axis
    return to_shape(b, x, (math.prod(shape[:split]), math.prod(shape[split:])))


@onnx("Squeeze")
def from_onnx_squeeze(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import Squeeze of the given axes, or of all that have one value."""
    shape = b.shape(node.value(0))
    axes = _axes(b, node)
    chosen = {axis % len(shape) for axis in (range(len(shape)) if axes is None else axes)}
    kept = [n for i, n in enumerate(shape) if i not in chosen or (axes is None and n != 1)]
    return to_shape(b, node.value(0), kept)


@onnx("Unsqueeze")
def from_onnx_unsqueeze(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import Unsqueeze; its axes count in the output."""
    sizes, axes = list(b.shape(node.value(0))), _axes(b, node) or []
    rank = len(sizes) + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        sizes.insert(axis, 1)
    return to_shape(b, node.value(0), sizes)


def _axes(b: GraphBuilder, node: OnnxNode) -> list[int] | None:
    """Axes that are an attribute, from opset 13 an input."""
    if node.optional(1) is not None:
        return _integers(b, node.value(1))
    axes = node.attributes.get("axes")
    return None if axes is None else [int(axis) for axis in axes]


def _integers(b: GraphBuilder, value: Value) -> list[int]:
    data = b.data(value)
    if data is None:
        raise Unsupported("its shape or axes are computed from values; they must be constant")
    return [int(n) for n in data.reshape(-1)]
