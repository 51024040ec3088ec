"""Operators that do nothing at inference: they leave no node behind."""

from __future__ import annotations

from typing import Any

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.spelling import aten

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
