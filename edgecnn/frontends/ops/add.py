"""Elementwise sum: ATen's add, TFLite's ADD."""

from __future__ import annotations

import numpy as np

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.spelling import TfliteOperator, aten, fused_activation, tflite
from edgecnn.ops.add import AddAttributes


@tflite("ADD")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import ADD."""
    activation = fused_activation(op.options.fusedActivationFunction)
    return op.emit(b, "add", op.inputs, AddAttributes(activation))


@aten("add.Tensor", "add_.Tensor")
def from_aten(b: GraphBuilder, x: Value | float, y: Value | float, *, alpha: float = 1) -> Value:
    """Import a sum of two tensors, or of a tensor and a number."""
    if alpha != 1:
        raise Unsupported(f"it multiplies its second operand by {alpha}; only 1 is supported")
    operands: list[Value | None] = [
        term if isinstance(term, Value) else b.constant(np.float32(term).reshape(1), "constant")
        for term in (x, y)
    ]
    return b.emit("add", operands, AddAttributes())
