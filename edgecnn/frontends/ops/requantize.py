"""Requantization: TFLite's QUANTIZE from int8 to int8."""

from __future__ import annotations

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.spelling import TfliteOperator, tflite
from edgecnn.ir import INT8


@tflite("QUANTIZE")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import QUANTIZE in the middle of an int8 network."""
    if op.output.dtype != INT8:
        raise Unsupported(f"it turns its input into {op.output.dtype}")
    return op.emit(b, "requantize", op.inputs)
