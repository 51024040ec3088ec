"""Splitting: ATen's split, chunk and unbind, ONNX's Split, TFLite's SPLIT, SPLIT_V and UNPACK."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.frontends.builder import Declared, GraphBuilder, Unsupported, Value
from edgecnn.frontends.constants import integers, onnx_integers
from edgecnn.frontends.ops.reshape import to_shape
from edgecnn.frontends.spelling import OnnxNode, TfliteOperator, aten, onnx, tflite
from edgecnn.ops.reshape import ReshapeAttributes
from edgecnn.ops.split import SplitAttributes


@tflite("SPLIT")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> list[Value]:
    """Import SPLIT into equal parts; its axis comes first."""
    (axis,), x = integers(b, op.inputs[0], "axes"), op.inputs[1] or ""
    axis %= len(b.shape(x))
    count = len(op.outputs)
    if b.shape(x)[axis] % count:
        raise Unsupported(f"it splits {b.shape(x)[axis]} values into {count} parts")
    sizes = (b.shape(x)[axis] // count,) * count
    return op.emit_many(b, "split", [x], SplitAttributes(axis, sizes))


@tflite("SPLIT_V")
def from_tflite_sizes(b: GraphBuilder, op: TfliteOperator) -> list[Value]:
    """Import SPLIT_V; one size may be -1."""
    x = op.inputs[0] or ""
    sizes, (axis,) = integers(b, op.inputs[1], "sizes"), integers(b, op.inputs[2], "axes")
    axis %= len(b.shape(x))
    rest = b.shape(x)[axis] - sum(n for n in sizes if n >= 0)
    whole = tuple(rest if n < 0 else n for n in sizes)
    return op.emit_many(b, "split", [x], SplitAttributes(axis, whole))


@tflite("UNPACK")
def from_tflite_unpack(b: GraphBuilder, op: TfliteOperator) -> list[Value]:
    """Import UNPACK: a split into parts of 1, each without the axis."""
    x = op.inputs[0] or ""
    axis = op.options.axis % len(b.shape(x))
    attributes = SplitAttributes(axis, (1,) * len(op.outputs))
    parts = b.emit_many(
        "split",
        [x],
        attributes,
        [Declared(f"{o.name}_part", o.dtype, o.quant) for o in op.outputs],
    )
    return [
        b.emit(
            "reshape", [part], ReshapeAttributes(o.shape), name=o.name, dtype=o.dtype, quant=o.quant
        )
        for part, o in zip(parts, op.outputs, strict=True)
    ]


def split(b: GraphBuilder, x: Value, sizes: Sequence[int], dim: int) -> list[Value]:
    """Cut a value along an axis; one part of it is the value itself."""
    if 0 in sizes:
        raise Unsupported(f"one of its parts is empty (sizes {list(sizes)})")
    if len(sizes) == 1:
        return [x]
    attributes = SplitAttributes(dim % len(b.shape(x)), tuple(sizes))
    return b.emit_many("split", [x], attributes, [Declared(b.scope)] * len(sizes))


def _steps(total: int, size: int) -> list[int]:
    return [min(size, total - start) for start in range(0, total, size)]


@aten("split_with_sizes.default", "split.sizes", "split_with_sizes_copy.default")
def from_aten_sizes(b: GraphBuilder, x: Value, sizes: Sequence[int], dim: int = 0) -> list[Value]:
    """Import split with a list of sizes."""
    return split(b, x, sizes, dim)


@aten("split.Tensor")
def from_aten(b: GraphBuilder, x: Value, size: int, dim: int = 0) -> list[Value]:
    """Import split into parts of one size, the last perhaps smaller."""
    return split(b, x, _steps(b.shape(x)[dim], size), dim)


@aten("chunk.default")
def from_aten_chunk(b: GraphBuilder, x: Value, chunks: int, dim: int = 0) -> list[Value]:
    """Import chunk: parts of one size, rounded up, so perhaps fewer than were asked for."""
    total = b.shape(x)[dim]
    return split(b, x, _steps(total, -(-total // chunks)), dim)


@aten("tensor_split.sections")
def from_aten_sections(b: GraphBuilder, x: Value, sections: int, dim: int = 0) -> list[Value]:
    """Import tensor_split: the first parts are one larger where it does not come out even."""
    each, rest = divmod(b.shape(x)[dim], sections)
    return split(b, x, [each + (i < rest) for i in range(sections)], dim)


@aten("unbind.int")
def from_aten_unbind(b: GraphBuilder, x: Value, dim: int = 0) -> list[Value]:
    """Import unbind: parts of 1, each without the axis."""
    shape = b.shape(x)
    axis = dim % len(shape)
    return [
        to_shape(b, part, (*shape[:axis], *shape[axis + 1 :]))
        for part in split(b, x, (1,) * shape[axis], axis)
    ]


@onnx("Split")
def from_onnx(b: GraphBuilder, node: OnnxNode) -> list[Value]:
    """Import Split: by sizes, or into as many equal parts as there are outputs."""
    x, dim = node.value(0), int(node.attributes.get("axis", 0))
    sizes = onnx_integers(b, node, "split", 1)
    if sizes is None:
        total, count = b.shape(x)[dim], len(node.outputs)
        sizes = _steps(total, -(-total // count))
    if len(sizes) != len(node.outputs):
        raise Unsupported(f"it splits into {len(sizes)} parts and has {len(node.outputs)} outputs")
    return split(b, x, sizes, dim)
