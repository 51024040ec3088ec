"""Sum over axes: ATen's sum, ONNX's ReduceSum, TFLite's SUM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.reductions import onnx_axes, tflite_axes, torch_axes
from edgecnn.frontends.spelling import OnnxNode, TfliteOperator, aten, onnx, tflite
from edgecnn.ops.sum import SumAttributes


@tflite("SUM")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import SUM over constant axes."""
    attributes = SumAttributes(tflite_axes(b, op), bool(op.options.keepDims))
    return op.emit(b, "sum", op.inputs[:1], attributes)


@aten("sum.dim_IntList", "sum.default")
def from_aten(
    b: GraphBuilder,
    x: Value,
    dims: Sequence[int] | None = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
) -> Value:
    """Import a sum over axes other than the batch."""
    if str(dtype) not in ("None", "torch.float32"):
        raise Unsupported(f"it computes in {dtype}; only float32 is supported")
    return b.emit("sum", [x], SumAttributes(torch_axes(b, x, dims), keepdim))


@onnx("ReduceSum")
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import ReduceSum over constant axes."""
    axes, x = onnx_axes(b, node), node.value(0)
    if not axes:
        return x
    return b.emit("sum", [x], SumAttributes(axes, bool(node.attributes.get("keepdims", 1))))
