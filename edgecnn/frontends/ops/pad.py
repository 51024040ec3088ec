"""Padding: ATen's constant_pad_nd and pad, TFLite's PAD and PADV2."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.fixedpoint import dequantize
from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.spelling import TfliteOperator, aten, tflite
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


@aten("constant_pad_nd.default")
def from_aten(b: GraphBuilder, x: Value, amounts: Sequence[int], value: float = 0) -> Value:
    """Import constant padding; ``amounts`` are pairs, the last axis first."""
    if min(amounts, default=0) < 0:
        raise Unsupported("it crops (a negative padding)")
    pairs = [(amounts[i], amounts[i + 1]) for i in range(0, len(amounts), 2)][::-1]
    paddings = ((0, 0),) * (len(b.shape(x)) - len(pairs)) + tuple(pairs)
    return b.emit("pad", [x], PadAttributes(paddings, float(value)))


@aten("pad.default")
def from_aten_pad(
    b: GraphBuilder,
    x: Value,
    amounts: Sequence[int],
    mode: str = "constant",
    value: float | None = None,
) -> Value:
    """Import pad in its constant mode."""
    if mode != "constant":
        raise Unsupported(
            f"its mode is '{mode}'; only constant padding is supported", "use ZeroPad2d"
        )
    return from_aten(b, x, amounts, value or 0.0)
