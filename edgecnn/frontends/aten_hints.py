"""What to use instead of ATen operators that have no counterpart, by the operator's base name."""

from __future__ import annotations

_RECTIFIER = "use ReLU or ReLU6"
_NORM = "use BatchNorm2d"
_LINEAR_2D = "use Conv2d, Linear or pooling layers"

SUBSTITUTES: dict[str, str] = {
    **dict.fromkeys(
        (
            "silu",
            "hardswish",
            "gelu",
            "elu",
            "selu",
            "celu",
            "mish",
            "leaky_relu",
            "prelu",
            "softplus",
            "sigmoid",
            "hardsigmoid",
            "tanh",
            "log_sigmoid",
            "softsign",
            "rrelu",
            "threshold",
            "hardshrink",
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
            "lstm",
            "gru",
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
    "conv1d": "use Conv2d with a height of 1",
    "conv3d": "use Conv2d",
    "max_pool1d": "use MaxPool2d with a height of 1",
    "avg_pool1d": "use AvgPool2d with a height of 1",
    "adaptive_avg_pool1d": "use AdaptiveAvgPool2d with a height of 1",
    "conv_transpose2d": "use Conv2d with a stride",
    "cat": "use a sum of branches",
    "argmax": "leave it out: take the largest output on the host",
    "topk": "leave it out: take the largest outputs on the host",
    "max": "leave it out, or use MaxPool2d",
}


def substitute(name: str) -> str:
    """Advice for an operator such as ``"silu_.default"``, or ``""``."""
    base = name.split(".")[0]
    return SUBSTITUTES.get(base) or SUBSTITUTES.get(base.rstrip("_"), "")
