"""Squared difference: TFLite's SQUARED_DIFFERENCE."""

from __future__ import annotations

from edgecnn.frontends.builder import GraphBuilder, Value
from edgecnn.frontends.spelling import TfliteOperator, tflite


@tflite("SQUARED_DIFFERENCE")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import SQUARED_DIFFERENCE."""
    return op.emit(b, "squared_difference", op.inputs)
