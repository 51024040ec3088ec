"""L2 normalization: ATen's F.normalize, ONNX's LpNormalization, TFLite's L2_NORMALIZATION.

F.normalize is spelled out in ATen: a norm, clamped from below, expanded, divides its input.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.last_axis import emit_along
from edgecnn.frontends.spelling import (
    OnnxNode,
    TfliteOperator,
    aten,
    fused_activation,
    onnx,
    tflite,
)
from edgecnn.ir import Node
from edgecnn.ops.vector_norm import VectorNormAttributes

#: The int8 kernel knows no epsilon: a larger one would change the meaning.
MAX_EPSILON = 1e-5


@tflite("L2_NORMALIZATION")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import L2_NORMALIZATION."""
    if fused_activation(op.options.fusedActivationFunction) != "none":
        raise Unsupported("it has a fused activation, which TensorFlow Lite Micro does not compute")
    return op.emit(b, "l2_normalization", op.inputs)


@onnx("LpNormalization")
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import LpNormalization with p = 2."""
    if int(node.attributes.get("p", 2)) != 2:
        raise Unsupported(f"its p is {node.attributes['p']}; only 2 is supported")
    axis = int(node.attributes.get("axis", -1))
    return emit_along(b, "l2_normalization", node.value(0), axis)


@aten("linalg_vector_norm.default")
def from_aten_norm(
    b: GraphBuilder,
    x: Value,
    order: float = 2,
    dims: Sequence[int] | None = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
) -> Value:
    """Import the norm of F.normalize; alone it is refused later on."""
    if order != 2 or dims is None or len(dims) != 1 or not keepdim or dtype is not None:
        raise Unsupported("only the Euclidean norm in F.normalize(x, dim=…) is supported")
    attributes = VectorNormAttributes(dims[0] % len(b.shape(x)))
    return b.emit("vector_norm", [x], attributes)


def normalized(b: GraphBuilder, x: Value, divisor: Value) -> Value | None:
    """``x / divisor`` as a normalization, where the divisor is the norm of x; else None."""
    producers = {node.output: node for node in b.nodes}
    found = producers.get(divisor)
    if found is not None and found.op == "broadcast_to":
        found = producers.get(found.inputs[0])
    if found is not None and _is_small_clamp(found):
        found = producers.get(found.inputs[0])
    if found is None or found.op != "vector_norm" or found.inputs[0] != x:
        return None
    attributes = found.attributes
    assert isinstance(attributes, VectorNormAttributes)
    return emit_along(b, "l2_normalization", x, attributes.axis)


def _is_small_clamp(node: Node) -> bool:
    """A clamp from below that only keeps the division from being one by 0."""
    function = getattr(node.attributes, "function", "")
    if node.op != "table" or function != "clip":
        return False
    low, high = getattr(node.attributes, "parameters", (0.0, 0.0))
    return bool(0 <= low <= MAX_EPSILON and high == float("inf"))
