"""Maximum over axes: ATen's amax and max, ONNX's ReduceMax, TFLite's REDUCE_MAX."""

from __future__ import annotations

from collections.abc import Sequence

from edgecnn.frontends.builder import GraphBuilder, Value
from edgecnn.frontends.reductions import onnx_axes, tflite_axes, torch_axes
from edgecnn.frontends.spelling import OnnxNode, TfliteOperator, aten, onnx, tflite
from edgecnn.ops.reduce_max import ReduceMaxAttributes


@tflite("REDUCE_MAX")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import REDUCE_MAX over constant axes."""
    attributes = ReduceMaxAttributes(tflite_axes(b, op), bool(op.options.keepDims))
    return op.emit(b, "reduce_max", op.inputs[:1], attributes)


@aten("amax.default")
def from_aten(b: GraphBuilder, x: Value, dims: Sequence[int] = (), keepdim: bool = False) -> Value:
    """Import amax over axes other than the batch."""
    attributes = ReduceMaxAttributes(torch_axes(b, x, dims), keepdim)
    return b.emit("reduce_max", [x], attributes)


@aten("max.dim")
def from_aten_dim(b: GraphBuilder, x: Value, dim: int, keepdim: bool = False) -> Value:
    """Import the values of max over one axis; its indices are another operator."""
    return from_aten(b, x, [dim], keepdim)


@onnx("ReduceMax")
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import ReduceMax over constant axes."""
    axes, x = onnx_axes(b, node), node.value(0)
    if not axes:
        return x
    keep = bool(node.attributes.get("keepdims", 1))
    return b.emit("reduce_max", [x], ReduceMaxAttributes(axes, keep))
