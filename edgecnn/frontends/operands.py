"""Operands of elementwise operators: tensors, constants and plain numbers."""

from __future__ import annotations

import numpy as np

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.spelling import TfliteOperator
from edgecnn.ir import INT16


def require_general_scales(op: TfliteOperator) -> None:
    """Refuse int16 sums and differences of older converters, with scales that are powers of two.

    TensorFlow Lite computes those otherwise than TensorFlow Lite Micro.
    """
    if op.output.dtype == INT16 and op.options.potScaleInt16:
        raise Unsupported("its int16 scales are marked as powers of two", "convert the model anew")


def operand(b: GraphBuilder, term: Value | float) -> Value:
    """A number as a constant of one value; a constant without axes gets one."""
    if not isinstance(term, Value):
        return b.constant(np.float32(term).reshape(1), "constant")
    data = b.data(term)
    return term if data is None or b.shape(term) else b.constant(data.reshape(1), term)


def number(b: GraphBuilder, term: Value | float | None) -> float | None:
    """The number that an operand is, or that a constant of one value holds; else None."""
    if term is None or not isinstance(term, Value):
        return None if term is None else float(term)
    data = b.data(term)
    return float(data.reshape(-1)[0]) if data is not None and data.size == 1 else None


def times(b: GraphBuilder, x: Value | float, factor: float) -> Value | float:
    """A multiple of an operand."""
    from edgecnn.ops.mul import MulAttributes

    if factor == 1:
        return x
    if not isinstance(x, Value):
        return x * factor
    return b.emit("mul", [operand(b, x), operand(b, factor)], MulAttributes())
