"""Operators that work along the last axis, imported along any."""

from __future__ import annotations

from edgecnn.frontends.builder import GraphBuilder, Value
from edgecnn.ir import Attributes


def emit_along(
    b: GraphBuilder, op: str, x: Value, axis: int, attributes: Attributes | None = None
) -> Value:
    """Append an operator along an axis, which is moved to the end and back."""
    rank = len(b.shape(x))
    axis %= rank
    if axis == rank - 1:
        return b.emit(op, [x], attributes)
    order = (*(i for i in range(rank) if i != axis), axis)
    y = b.emit(op, [b.transpose(x, order, "_last")], attributes)
    return b.transpose(y, tuple(order.index(i) for i in range(rank)), "_back")
