"""Requantization: TFLite's QUANTIZE between int8 and int16."""

from __future__ import annotations

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.spelling import TfliteOperator, tflite
from edgecnn.ir import INT8, INT16


@tflite("QUANTIZE")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import QUANTIZE in the middle of an int8 network."""
    if op.output.dtype not in (INT8, INT16):
        raise Unsupported(f"it turns its input into {op.output.dtype}")
    return op.emit(b, "requantize", op.inputs)
