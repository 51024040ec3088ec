"""What to use instead of ATen operators that have no counterpart, by the operator's base name."""

from __future__ import annotations

_RECTIFIER = "use ReLU or ReLU6"
_NORM = "use BatchNorm2d"
_LINEAR_2D = "use Conv2d, Linear or pooling layers"

SUBSTITUTES: dict[str, str] = {
    **dict.fromkeys(
        (
            "rrelu",
            "relu6_backward",
        ),
        _RECTIFIER,
    ),
    **dict.fromkeys(
        (
            "layer_norm",
            "native_layer_norm",
            "group_norm",
            "native_group_norm",
            "instance_norm",
            "rms_norm",
            "local_response_norm",
        ),
        _NORM,
    ),
    **dict.fromkeys(
        (
            "rnn_tanh",
            "rnn_relu",
            "scaled_dot_product_attention",
            "bmm",
            "matmul",
            "einsum",
            "embedding",
        ),
        _LINEAR_2D,
    ),
    "conv3d": "use Conv2d",
    "topk": "leave it out: take the largest outputs on the host",
    "max": "leave it out, or use MaxPool2d",
}


def substitute(name: str) -> str:
    """Advice for an operator such as ``"silu_.default"``, or ``""``."""
    base = name.split(".")[0]
    return SUBSTITUTES.get(base) or SUBSTITUTES.get(base.rstrip("_"), "")
