"""Padding: ATen's constant_pad_nd and pad, ONNX's Pad, TFLite's PAD and PADV2."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.errors import ModelFormatError
from edgecnn.fixedpoint import dequantize
from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.constants import onnx_integers
from edgecnn.frontends.ops.mirror_pad import Paddings, by_mode, last_axes
from edgecnn.frontends.ops.slice import cut, part
from edgecnn.frontends.spelling import OnnxNode, TfliteOperator, aten, onnx, tflite
from edgecnn.ops.pad import PadAttributes


@tflite("PAD", "PADV2")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import PAD and PADV2 with constant amounts and value."""
    amounts = b.data(op.inputs[1])
    if amounts is None:
        raise Unsupported("its paddings are computed by the network; they must be constant")
    value = 0.0
    if op.name == "PADV2":
        fill = b.data(op.inputs[2])
        if fill is None:
            raise Unsupported("its value is computed by the network; it must be constant")
        quant = b.tensors[op.inputs[2] or ""].quant
        if quant is not None:
            if quant != b.tensors[op.inputs[0] or ""].quant:
                raise Unsupported("its value differs from its input in scale or zero point")
            fill = dequantize(fill, quant.scale[0], quant.zero_point[0])
        value = float(fill.reshape(-1)[0])
    paddings = tuple((int(before), int(after)) for before, after in amounts.reshape(-1, 2))
    return op.emit(b, "pad", op.inputs[:1], PadAttributes(paddings, value))


def _border(b: GraphBuilder, x: Value, paddings: Paddings, value: float) -> Value:
    """A constant border; what is negative is cut off first."""
    sizes = zip(b.shape(x), paddings, strict=True)
    parts = [part(n, max(0, -before), n - max(0, -after), 1) for n, (before, after) in sizes]
    x = cut(b, x, parts)
    amounts = tuple((max(0, before), max(0, after)) for before, after in paddings)
    if not any(n for pair in amounts for n in pair):
        return x
    return b.emit("pad", [x], PadAttributes(amounts, float(value)))


@aten("constant_pad_nd.default")
def from_aten(b: GraphBuilder, x: Value, amounts: Sequence[int], value: float = 0) -> Value:
    """Import constant padding; ``amounts`` are pairs, the last axis first."""
    return _border(b, x, last_axes(b, x, amounts), value)


@aten("pad.default")
def from_aten_pad(
    b: GraphBuilder,
    x: Value,
    amounts: Sequence[int],
    mode: str = "constant",
    value: float | None = None,
) -> Value:
    """Import pad in any mode."""
    if mode != "constant":
        return by_mode(b, x, last_axes(b, x, amounts), mode)
    return from_aten(b, x, amounts, value or 0.0)


@onnx("Pad")
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import Pad: all amounts before, then all after."""
    x, rank = node.value(0), len(b.shape(node.value(0)))
    amounts = onnx_integers(b, node, "pads", 1) or [0] * (2 * rank)
    axes = onnx_integers(b, node, "axes", 3) or list(range(rank))
    if len(amounts) != 2 * len(axes):
        raise ModelFormatError(f"Pad at '{b.scope}' pads {len(axes)} axes by {amounts}")
    paddings = [(0, 0)] * rank
    for axis, before, after in zip(axes, amounts[: len(axes)], amounts[len(axes) :], strict=True):
        paddings[axis] = (before, after)
    mode = node.attributes.get("mode", "constant")
    if mode != "constant":
        return by_mode(b, x, paddings, mode)
    return _border(b, x, paddings, _onnx_value(b, node))


def _onnx_value(b: GraphBuilder, node: OnnxNode) -> float:
    value = node.optional(2)
    if value is None:
        return float(node.attributes.get("value", 0.0))
    data = b.data(value)
    if data is None:
        raise Unsupported("its value is computed by the network; it must be constant")
    return float(data.reshape(-1)[0]) if data.size else 0.0
