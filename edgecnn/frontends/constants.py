"""Arguments of operators that must be constants: sizes, axes, amounts."""

from __future__ import annotations

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.spelling import OnnxNode


def integers(b: GraphBuilder, value: Value | None, what: str) -> list[int]:
    """The integers of a constant; ``what`` names them in the refusal of a computed one."""
    data = b.data(value)
    if data is None:
        raise Unsupported(f"its {what} are computed by the network; they must be constant")
    return [int(n) for n in data.reshape(-1)]


def onnx_integers(
    b: GraphBuilder, node: OnnxNode, attribute: str, position: int
) -> list[int] | None:
    """Integers that ONNX gave as an attribute once and gives as an input now; None if absent."""
    if attribute in node.attributes:
        return [int(n) for n in node.attributes[attribute]]
    value = node.optional(position)
    return None if value is None else integers(b, value, attribute)
