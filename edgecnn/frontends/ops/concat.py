"""Concatenation: ATen's cat and stack, ONNX's Concat and Tile, TFLite's CONCATENATION and PACK."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.frontends.builder import Declared, GraphBuilder, Unsupported, Value
from edgecnn.frontends.constants import integers
from edgecnn.frontends.ops.reshape import to_shape
from edgecnn.frontends.spelling import (
    OnnxNode,
    TfliteOperator,
    aten,
    fused_activation,
    onnx,
    tflite,
)
from edgecnn.ir import Shape
from edgecnn.ops.concat import MAX_INPUTS, ConcatAttributes
from edgecnn.ops.reshape import ReshapeAttributes


def join(
    b: GraphBuilder, values: Sequence[Value], axis: int, declared: Declared | None = None
) -> Value:
    """Concatenate any number of values: the first ten at first, and so on."""
    declared = Declared(b.scope) if declared is None else declared
    attributes, rest = ConcatAttributes(axis % len(b.shape(values[0]))), list(values)
    part = Declared(f"{declared.name}_part", declared.dtype, declared.quant)
    while len(rest) > MAX_INPUTS:
        inputs: list[Value | None] = [*rest[:MAX_INPUTS]]
        rest = [*b.emit_many("concat", inputs, attributes, [part]), *rest[MAX_INPUTS:]]
    (value,) = b.emit_many("concat", [*rest], attributes, [declared])
    return value


def repeat(b: GraphBuilder, x: Value, counts: Sequence[int]) -> Value:
    """Concatenate a value with itself, axis by axis, as often as ``counts`` say."""
    for axis, count in enumerate(counts):
        if count < 1:
            raise Unsupported(f"it repeats a dimension {count} times")
        if count > 1:
            x = join(b, [x] * count, axis)
    return x


def _with_axis(shape: Shape, axis: int) -> Shape:
    place = axis % (len(shape) + 1)
    return (*shape[:place], 1, *shape[place:])


def _given(values: Sequence[Value | None]) -> list[Value]:
    return [value for value in values if value is not None]


@tflite("CONCATENATION")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import CONCATENATION."""
    if fused_activation(op.options.fusedActivationFunction) != "none":
        raise Unsupported("it has a fused activation", "use a separate activation layer")
    o = op.output
    return join(b, _given(op.inputs), op.options.axis, Declared(o.name, o.dtype, o.quant))


@tflite("PACK")
def from_tflite_pack(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import PACK: each input gets the new axis, then they are concatenated."""
    o, parts = op.output, []
    for value in _given(op.inputs):
        tensor = b.tensors[value]
        attributes = ReshapeAttributes(_with_axis(tensor.shape, op.options.axis))
        if tensor.data is not None:
            data = tensor.data.reshape(attributes.shape)
            parts.append(b.constant(data, tensor.name, tensor.quant))
            continue
        name = f"{value}_expanded"
        parts.append(
            b.emit(
                "reshape", [value], attributes, name=name, dtype=tensor.dtype, quant=tensor.quant
            )
        )
    axis = op.options.axis % len(b.shape(parts[0]))
    return join(b, parts, axis, Declared(o.name, o.dtype, o.quant))


@aten("cat.default", "concat.default", "concatenate.default")
def from_aten(b: GraphBuilder, values: Sequence[Value], dim: int = 0) -> Value:
    """Import cat."""
    return join(b, values, dim) if len(values) > 1 else values[0]


@aten("stack.default")
def from_aten_stack(b: GraphBuilder, values: Sequence[Value], dim: int = 0) -> Value:
    """Import stack: each value gets the new axis, then they are concatenated."""
    axis = dim % (len(b.shape(values[0])) + 1)
    return from_aten(b, [_expanded(b, value, axis) for value in values], axis)


def _expanded(b: GraphBuilder, value: Value, axis: int) -> Value:
    data, shape = b.data(value), _with_axis(b.shape(value), axis)
    return to_shape(b, value, shape) if data is None else b.constant(data.reshape(shape), value)


@aten("repeat.default", "tile.default")
def from_aten_repeat(b: GraphBuilder, x: Value, counts: Sequence[int]) -> Value:
    """Import repeat and tile."""
    rank, shape = max(len(counts), len(b.shape(x))), b.shape(x)
    counts = (*(1,) * (rank - len(counts)), *counts)
    x = x if len(shape) == rank else to_shape(b, x, (*(1,) * (rank - len(shape)), *shape))
    return repeat(b, x, counts)


@aten("roll.default")
def from_aten_roll(
    b: GraphBuilder, x: Value, shifts: Sequence[int], dims: Sequence[int] = ()
) -> Value:
    """Import roll along named axes: the end goes before the rest."""
    from edgecnn.frontends.ops.slice import taken

    if len(shifts) != len(dims):
        raise Unsupported("it rolls the flattened tensor", "name the dimensions to roll")
    for shift, dim in zip(shifts, dims, strict=True):
        axis = dim % len(b.shape(x))
        size = b.shape(x)[axis]
        if shift % size:
            cut = size - shift % size
            x = join(b, [taken(b, x, axis, cut, size), taken(b, x, axis, 0, cut)], axis)
    return x


@onnx("Concat")
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import Concat."""
    return from_aten(b, _given(node.inputs), int(node.attributes["axis"]))


@onnx("Tile")
def from_onnx_tile(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import Tile."""
    return repeat(b, node.value(0), integers(b, node.value(1), "repeats"))
