"""Minimum over axes: ATen's amin and min, ONNX's ReduceMin, TFLite's REDUCE_MIN."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.frontends.builder import GraphBuilder, Value
from edgecnn.frontends.reductions import onnx_axes, tflite_axes, torch_axes
from edgecnn.frontends.spelling import OnnxNode, TfliteOperator, aten, onnx, tflite
from edgecnn.ops.reduce_min import ReduceMinAttributes


@tflite("REDUCE_MIN")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import REDUCE_MIN over constant axes."""
    attributes = ReduceMinAttributes(tflite_axes(b, op), bool(op.options.keepDims))
    return op.emit(b, "reduce_min", op.inputs[:1], attributes)


@aten("amin.default")
def from_aten(b: GraphBuilder, x: Value, dims: Sequence[int] = (), keepdim: bool = False) -> Value:
    """Import amin over axes other than the batch."""
    attributes = ReduceMinAttributes(torch_axes(b, x, dims), keepdim)
    return b.emit("reduce_min", [x], attributes)


@aten("min.dim")
def from_aten_dim(b: GraphBuilder, x: Value, dim: int, keepdim: bool = False) -> Value:
    """Import the values of min over one axis; its indices are another operator."""
    return from_aten(b, x, [dim], keepdim)


@onnx("ReduceMin")
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import ReduceMin over constant axes."""
    axes, x = onnx_axes(b, node), node.value(0)
    if not axes:
        return x
    keep = bool(node.attributes.get("keepdims", 1))
    return b.emit("reduce_min", [x], ReduceMinAttributes(axes, keep))
