"""How the front ends spell the axes of a reduction."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.constants import integers, onnx_integers
from edgecnn.frontends.spelling import OnnxNode, TfliteOperator


def _sorted(axes: Sequence[int], rank: int) -> tuple[int, ...]:
    return tuple(sorted({axis % rank for axis in axes}))


def _without_batch(axes: tuple[int, ...]) -> tuple[int, ...]:
    if 0 in axes:
        raise Unsupported("it reduces the batch", "name the dimensions to reduce")
    return axes


def tflite_axes(b: GraphBuilder, op: TfliteOperator) -> tuple[int, ...]:
    """The axes of a TFLite reduction, its second input."""
    return _sorted(integers(b, op.inputs[1], "axes"), len(b.shape(op.inputs[0] or "")))


def torch_axes(b: GraphBuilder, x: Value, dims: Sequence[int] | None) -> tuple[int, ...]:
    """The axes of a torch reduction: all of them where none is named."""
    rank = len(b.shape(x))
    return _without_batch(_sorted(dims or range(rank), rank))


def onnx_axes(b: GraphBuilder, node: OnnxNode) -> tuple[int, ...]:
    """The axes of an ONNX reduction; none where it does nothing."""
    rank = len(b.shape(node.value(0)))
    axes = onnx_integers(b, node, "axes", 1)
    if not axes:
        axes = [] if node.attributes.get("noop_with_empty_axes") else list(range(rank))
    return _without_batch(_sorted(axes, rank))
