"""Mean over axes: ATen's mean and global pooling, ONNX's ReduceMean, TFLite's MEAN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.spelling import OnnxNode, TfliteOperator, aten, onnx, tflite
from edgecnn.ops.mean import MeanAttributes


@tflite("MEAN")
def from_tflite(b: GraphBuilder, op: TfliteOperator) -> Value:
    """Import MEAN over constant axes."""
    x, axes = op.inputs[0] or "", b.data(op.inputs[1])
    if axes is None:
        raise Unsupported("its axes are computed by the network; they must be constant")
    rank = len(b.shape(x))
    unique = tuple(sorted({int(axis) % rank for axis in axes.reshape(-1)}))
    return op.emit(b, "mean", [x], MeanAttributes(unique, bool(op.options.keepDims)))


@aten("mean.dim", "mean.default")
def from_aten(
    b: GraphBuilder,
    x: Value,
    dims: Sequence[int] | None = None,
    keepdim: bool = False,
    *,
    dtype: Any = None,
) -> Value:
    """Import a mean over given axes, or over all of them but never over the batch."""
    rank = len(b.shape(x))
    axes = tuple(sorted({dim % rank for dim in dims or range(rank)}))
    if 0 in axes:
        raise Unsupported("it averages over the batch", "name the dimensions to average over")
    if str(dtype) not in ("None", "torch.float32"):
        raise Unsupported(f"it computes in {dtype}; only float32 is supported")
    return b.emit("mean", [x], MeanAttributes(axes, keepdim))


@onnx("ReduceMean")
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import ReduceMean, whose axes are an attribute, from opset 18 an input."""
    axes, given = node.attributes.get("axes"), node.optional(1)
    if given is not None:
        data = b.data(given)
        if data is None:
            raise Unsupported("its axes are computed by the network; they must be constant")
        axes = [int(axis) for axis in data.reshape(-1)]
    if not axes and node.attributes.get("noop_with_empty_axes", 0):
        return node.value(0)
    return from_aten(b, node.value(0), axes, bool(node.attributes.get("keepdims", 1)))
