"""Operators that do nothing at inference: they leave no node behind."""

from __future__ import annotations

from typing import Any

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.spelling import OnnxNode, aten, onnx

_WIDE_ENOUGH = ("None", "torch.float32", "torch.float64")


@aten(
    "contiguous.default",
    "clone.default",
    "alias.default",
    "detach.default",
    "detach_.default",
    "lift_fresh_copy.default",
)
def from_aten(b: GraphBuilder, x: Value, **kwargs: Any) -> Value:
    """Import an operator that only copies, perhaps to another layout in memory."""
    return x


@aten(
    "dropout.default",
    "dropout_.default",
    "feature_dropout.default",
    "feature_dropout_.default",
    "alpha_dropout.default",
    "alpha_dropout_.default",
    "feature_alpha_dropout.default",
)
def from_aten_dropout(b: GraphBuilder, x: Value, p: float, train: bool) -> Value:
    """Import dropout at inference."""
    if train and p > 0:
        raise Unsupported("it is in training mode", "call model.eval() before exporting")
    return x


@aten("_to_copy.default", "to.dtype", "to.dtype_layout", "_to_dim_order_copy.default")
def from_aten_to(b: GraphBuilder, x: Value, dtype: Any = None, *args: Any, **kwargs: Any) -> Value:
    """Import a conversion to a type that holds every float32."""
    if str(dtype) not in _WIDE_ENOUGH:
        raise Unsupported(f"it converts to {dtype}; only float32 is supported")
    return x


@aten("to.device")
def from_aten_to_device(
    b: GraphBuilder, x: Value, device: Any, dtype: Any = None, *args: Any, **kwargs: Any
) -> Value:
    """Import a move to another device; boards have but one."""
    return from_aten_to(b, x, dtype)


@onnx("Identity")
def from_onnx(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import Identity."""
    return node.value(0)


@onnx("Dropout")
def from_onnx_dropout(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import Dropout at inference."""
    training = b.data(node.optional(2))
    if node.optional(2) is not None and (training is None or training.any()):
        raise Unsupported("it is in training mode", "export the model for inference")
    return node.value(0)


#: ONNX's TensorProto.DataType of the floats that are computed in float32.
_ONNX_FLOATS = {1: "float32", 10: "float16", 11: "double", 16: "bfloat16"}


@onnx("Cast")
def from_onnx_cast(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import a conversion from floats to floats; all are computed in float32."""
    if node.attributes.get("to") not in _ONNX_FLOATS:
        raise Unsupported("it converts to a type that is no float; only float32 is supported")
    return node.value(0)


@onnx("CastLike")
def from_onnx_cast_like(b: GraphBuilder, node: OnnxNode) -> Value:
    """Import a conversion to the type of another float tensor."""
    like = b.tensors[node.value(1)]
    if like.data is not None and like.data.dtype.kind != "f":
        raise Unsupported("it converts to a type that is no float; only float32 is supported")
    return node.value(0)
