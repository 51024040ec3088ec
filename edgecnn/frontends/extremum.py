"""How the front ends spell the larger or the smaller of two tensors."""

from __future__ import annotations

from edgecnn.frontends.builder import GraphBuilder, Value
from edgecnn.frontends.operands import number, operand
from edgecnn.frontends.ops.relu6 import from_bounds
from edgecnn.frontends.spelling import OnnxNode


def from_pair(b: GraphBuilder, op: str, x: Value, y: Value) -> Value:
    """The ``maximum`` or ``minimum`` of two tensors; that of a tensor and a number is a clamp."""
    for one, other in ((x, y), (y, x)):
        value = number(b, other)
        fits = len(b.shape(other)) <= len(b.shape(one))
        if value is not None and b.data(one) is None and fits:
            bounds = (value, None) if op == "maximum" else (None, value)
            return from_bounds(b, one, *bounds)
    return b.emit(op, [operand(b, x), operand(b, y)])


def from_any_number(b: GraphBuilder, op: str, node: OnnxNode) -> Value:
    """The same of any number of tensors."""
    result = node.value(0)
    for position in range(1, len(node.inputs)):
        result = from_pair(b, op, result, node.value(position))
    return result
