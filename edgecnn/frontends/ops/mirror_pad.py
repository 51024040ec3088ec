"""Borders that repeat what is inside: ATen's and ONNX's modes of pad, TFLite's MIRROR_PAD."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.constants import integers
from edgecnn.frontends.ops.concat import join
from edgecnn.frontends.ops.slice import taken
from edgecnn.frontends.spelling import TfliteOperator, aten, tflite
from edgecnn.ops.mirror_pad import MirrorPadAttributes

Paddings = Sequence[tuple[int, int]]

#: TFLite's MirrorPadMode.
_REFLECT, _SYMMETRIC = 0, 1


@tflite("MIRROR_PAD")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import MIRROR_PAD with constant amounts."""
    amounts = integers(b, op.inputs[1], "paddings")
    paddings = tuple(zip(amounts[::2], amounts[1::2], strict=True))
    attributes = MirrorPadAttributes(paddings, op.options.mode == _SYMMETRIC)
    return op.emit(b, "mirror_pad", op.inputs[:1], attributes)


def reflect(b: GraphBuilder, x: Value, paddings: Paddings) -> Value:
    """Mirror without the edge."""
    return b.emit("mirror_pad", [x], MirrorPadAttributes(tuple(paddings)))


def replicate(b: GraphBuilder, x: Value, paddings: Paddings) -> Value:
    """Repeat the edge: mirroring it, by one value at a time."""
    left = [list(pair) for pair in paddings]
    while any(n for pair in left for n in pair):
        step = tuple((min(before, 1), min(after, 1)) for before, after in left)
        x = b.emit("mirror_pad", [x], MirrorPadAttributes(step, repeats_edge=True))
        left = [[p[0] - s[0], p[1] - s[1]] for p, s in zip(left, step, strict=True)]
    return x


def circular(b: GraphBuilder, x: Value, paddings: Paddings) -> Value:
    """Continue with the other end, axis by axis."""
    for axis, (before, after) in enumerate(paddings):
        n = b.shape(x)[axis]
        parts = [x]
        if before:
            parts.insert(0, taken(b, x, axis, n - before, n))
        if after:
            parts.append(taken(b, x, axis, 0, after))
        x = join(b, parts, axis) if len(parts) > 1 else x
    return x


_MODES = {
    "reflect": reflect,
    "replicate": replicate,
    "edge": replicate,
    "circular": circular,
    "wrap": circular,
}


def by_mode(b: GraphBuilder, x: Value, paddings: Paddings, mode: str) -> Value:
    """A border by the name that torch or ONNX has for it; any mode but constant."""
    if mode not in _MODES:
        raise Unsupported(f"its mode is '{mode}'", "use reflect, replicate or constant")
    return _MODES[mode](b, x, paddings)


def last_axes(b: GraphBuilder, x: Value, amounts: Sequence[int]) -> list[tuple[int, int]]:
    """torch's amounts, the last axis first, as a pair for each axis."""
    pairs = [(amounts[i], amounts[i + 1]) for i in range(0, len(amounts), 2)][::-1]
    return [(0, 0)] * (len(b.shape(x)) - len(pairs)) + pairs


@aten("reflection_pad1d.default", "reflection_pad2d.default")
def from_aten(b: GraphBuilder, x: Value, amounts: Sequence[int]) -> Value:
    """Import reflecting padding."""
    return reflect(b, x, last_axes(b, x, amounts))


@aten("replication_pad1d.default", "replication_pad2d.default")
def from_aten_replication(b: GraphBuilder, x: Value, amounts: Sequence[int]) -> Value:
    """Import padding that repeats the edge."""
    return replicate(b, x, last_axes(b, x, amounts))
