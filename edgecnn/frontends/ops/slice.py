"""Slicing: ATen's slice, select, narrow, flip, ONNX's Slice, TFLite's SLICE and STRIDED_SLICE."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgecnn.frontends.builder import Declared, GraphBuilder, Unsupported, Value
from edgecnn.frontends.constants import integers, onnx_integers
from edgecnn.frontends.ops.reshape import to_shape
from edgecnn.frontends.spelling import OnnxNode, TfliteOperator, aten, onnx, tflite
from edgecnn.ir import Shape
from edgecnn.ops.concat import ConcatAttributes
from edgecnn.ops.reshape import ReshapeAttributes
from edgecnn.ops.slice import Part, SliceAttributes


def part(n: int, start: int | None, end: int | None, step: int) -> Part | None:
    """The part of ``n`` values that Python's ``[start:end:step]`` names; None for all of them."""
    if step == 0:
        raise Unsupported("its step is 0")
    indices = range(n)[start:end:step]
    if len(indices) == 0:
        raise Unsupported(f"it takes nothing of {n} values ({start}:{end}:{step})")
    if indices == range(n):
        return None
    return Part(indices[0], len(indices), step if len(indices) > 1 else 1)


def taken(b: GraphBuilder, x: Value, axis: int, start: int, end: int, step: int = 1) -> Value:
    """``x[start:end:step]`` along an axis, or ``x`` itself where that is all."""
    parts: list[Part | None] = [None] * len(b.shape(x))
    parts[axis] = part(b.shape(x)[axis], start, end, step)
    return cut(b, x, parts)


def cut(b: GraphBuilder, x: Value, parts: Sequence[Part | None]) -> Value:
    """The named part of each axis, or ``x`` itself where that is all."""
    if all(p is None for p in parts):
        return x
    return b.emit("slice", [x], SliceAttributes(tuple(parts)))


# --- TFLite ---------------------------------------------------------------------------------------


@tflite("SLICE")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import SLICE; a size of -1 reaches to the end."""
    shape = b.shape(op.inputs[0] or "")
    begin, size = (integers(b, op.inputs[i], what) for i, what in ((1, "begin"), (2, "sizes")))
    parts = tuple(
        part(n, first, None if count < 0 else first + count, 1)
        for n, first, count in zip(shape, begin, size, strict=True)
    )
    return op.emit(b, "slice", op.inputs[:1], SliceAttributes(parts))


@tflite("STRIDED_SLICE")
def from_tflite_strided(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import STRIDED_SLICE; masked ends are open, axes that shrink vanish in a reshape."""
    o, out = op.options, op.output
    if o.ellipsisMask or o.newAxisMask or getattr(o, "offset", False):
        raise Unsupported("it has an ellipsis, a new axis or an offset")
    x, shape = op.inputs[0] or "", b.shape(op.inputs[0] or "")
    names = ("begin", "end", "strides")
    bounds = zip(
        *(integers(b, v, n) for v, n in zip(op.inputs[1:], names, strict=True)), strict=True
    )
    parts: list[Part | None] = []
    for axis, (n, (first, end, step)) in enumerate(zip(shape, bounds, strict=False)):
        bit = 1 << axis
        if o.shrinkAxisMask & bit:
            first %= n
            parts.append(part(n, first, first + 1, 1))
        else:
            low = None if o.beginMask & bit else first
            parts.append(part(n, low, None if o.endMask & bit else end, step))
    parts += [None] * (len(shape) - len(parts))
    attributes = SliceAttributes(tuple(parts))
    if not o.shrinkAxisMask:
        return op.emit(b, "slice", [x], attributes)
    declared = Declared(f"{out.name}_slice", out.dtype, out.quant)
    (value,) = b.emit_many("slice", [x], attributes, [declared])
    return op.emit(b, "reshape", [value], ReshapeAttributes(_shrunk(b.shape(value), o)))


def _shrunk(shape: Shape, options: object) -> Shape:
    mask = int(getattr(options, "shrinkAxisMask", 0))
    return tuple(n for axis, n in enumerate(shape) if not mask & 1 << axis)


# --- ATen -----------------------------------------------------------------------------------------


@aten("slice.Tensor", "slice_copy.Tensor")
def from_aten(
    b: GraphBuilder,
    x: Value,
    dim: int = 0,
    start: int | None = None,
    end: int | None = None,
    step: int = 1,
) -> Value:
    """Import slice."""
    shape = b.shape(x)
    parts: list[Part | None] = [None] * len(shape)
    parts[dim] = part(shape[dim], start, end, step)
    return cut(b, x, parts)


@aten("narrow.default")
def from_aten_narrow(b: GraphBuilder, x: Value, dim: int, start: int, length: int) -> Value:
    """Import narrow."""
    first = start % b.shape(x)[dim]
    return from_aten(b, x, dim, first, first + length)


@aten("select.int", "select_copy.int")
def from_aten_select(b: GraphBuilder, x: Value, dim: int, index: int) -> Value:
    """Import select: a part of 1 without its axis."""
    shape = b.shape(x)
    axis = dim % len(shape)
    first = index % shape[axis]
    one = taken(b, x, axis, first, first + 1)
    return to_shape(b, one, (*shape[:axis], *shape[axis + 1 :]))


@aten("flip.default")
def from_aten_flip(b: GraphBuilder, x: Value, dims: Sequence[int]) -> Value:
    """Import flip: all values backwards."""
    shape = b.shape(x)
    parts: list[Part | None] = [None] * len(shape)
    for dim in dims:
        parts[dim] = part(shape[dim], None, None, -1)
    return cut(b, x, parts)


# --- ONNX -----------------------------------------------------------------------------------------


@onnx("Slice")
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import Slice; bounds beyond the ends are cut, as Python does."""
    x, shape = node.value(0), b.shape(node.value(0))
    starts = onnx_integers(b, node, "starts", 1)
    ends = onnx_integers(b, node, "ends", 2)
    if starts is None or ends is None:
        raise Unsupported("it has no starts or ends")
    axes = onnx_integers(b, node, "axes", 3) or list(range(len(starts)))
    steps = onnx_integers(b, node, "steps", 4) or [1] * len(starts)
    parts: list[Part | None] = [None] * len(shape)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        n = shape[axis]
        # ONNX's end of a backward slice is before the first value where it is -n - 1 or less.
        stop = None if step < 0 and end < -n else end
        parts[axis] = part(n, start, stop, step)
    return cut(b, x, parts)


@onnx("Gather")
def from_onnx_gather(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import Gather with constant indices: a part without its axis, or parts side by side."""
    x, chosen = node.value(0), b.data(node.value(1))
    if chosen is None or b.data(x) is not None:
        raise Unsupported("its indices are computed by the network; they must be constant")
    shape = b.shape(x)
    axis = int(node.attributes.get("axis", 0)) % len(shape)
    if not chosen.size or np.any((chosen < -shape[axis]) | (chosen >= shape[axis])):
        raise Unsupported(f"its indices are not within its {shape[axis]} values")
    if chosen.ndim == 0:
        return from_aten_select(b, x, axis, int(chosen))
    runs = _runs([int(i) % shape[axis] for i in chosen.reshape(-1)])
    parts = [taken(b, x, axis, *run) for run in runs]
    y = parts[0] if len(parts) == 1 else b.emit("concat", list(parts), ConcatAttributes(axis))
    if chosen.ndim == 1:
        return y
    return to_shape(b, y, (*shape[:axis], *chosen.shape, *shape[axis + 1 :]))


def _runs(indices: list[int]) -> list[tuple[int, int, int]]:
    """Indices as (start, end, step): one run where they are evenly spaced, or several of step 1."""
    steps = set(np.diff(indices).tolist())
    if len(steps) == 1 and (step := steps.pop()) > 0:
        return [(indices[0], indices[-1] + 1, step)]
    runs: list[tuple[int, int, int]] = []
    for index in indices:
        if runs and runs[-1][1] == index:
            runs[-1] = (runs[-1][0], index + 1, 1)
        else:
            runs.append((index, index + 1, 1))
    return runs
