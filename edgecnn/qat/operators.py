"""What each operator of a float graph computes, in torch: NHWC, with gradients.

A function takes the node's attributes and its inputs (None where absent) and gives the output, or
a tuple of several. The first dimension is the batch. `edgecnn/ops` says what the attributes mean.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from edgecnn.errors import Problem, UnsupportedError
from edgecnn.ir import Node, Shape
from edgecnn.operators import ACTIVATION_BOUNDS
from edgecnn.ops.resize_bilinear import Taps, float_taps
from edgecnn.ops.resize_nearest import indices
from edgecnn.qat import functions
from edgecnn.windows import Padding, count_inside

Inputs = Sequence[Any]


def nchw(x: Tensor) -> Tensor:
    """An NHWC image in the order of axes that torch computes in; nothing is copied."""
    return x.permute(0, 3, 1, 2)


def nhwc(x: Tensor) -> Tensor:
    """The way back."""
    return x.permute(0, 2, 3, 1)


def padded(x: Tensor, padding: Padding, value: float = 0.0) -> Tensor:
    """An NCHW image with a border of (top, bottom, left, right)."""
    top, bottom, left, right = padding
    return functional.pad(x, (left, right, top, bottom), value=value) if any(padding) else x


def _activated(a: Any, x: Tensor) -> Tensor:
    low, high = ACTIVATION_BOUNDS[a.activation]
    return x if a.activation == "none" else torch.clamp(x, low, high)


# --- sums of products ------------------------------------------------------------------------


def _conv2d(a: Any, inputs: Inputs) -> Tensor:
    x, weights, bias = inputs
    image = padded(nchw(x), a.padding)
    y = functional.conv2d(image, nchw(weights), bias, a.stride, 0, a.dilation, a.groups)
    return _activated(a, nhwc(y))


def _depthwise_conv2d(a: Any, inputs: Inputs) -> Tensor:
    x, weights, bias = inputs
    image, filters = padded(nchw(x), a.padding), weights.permute(3, 0, 1, 2)
    y = functional.conv2d(image, filters, bias, a.stride, 0, a.dilation, x.shape[3])
    return _activated(a, nhwc(y))


def _transpose_conv2d(a: Any, inputs: Inputs) -> Tensor:
    x, weights, bias = inputs
    y = functional.conv_transpose2d(nchw(x), weights.permute(3, 0, 1, 2), None, a.stride)
    (top, left), (height, width) = a.start, a.size
    below, beside = top + height - y.shape[2], left + width - y.shape[3]
    y = functional.pad(y, (-left, beside, -top, below))
    return _activated(a, nhwc(y) if bias is None else nhwc(y) + bias)


def _fully_connected(a: Any, inputs: Inputs) -> Tensor:
    x, weights, bias = inputs
    rows = x if a.keep_dims else x.reshape(-1, weights.shape[1])
    return _activated(a, functional.linear(rows, weights, bias))


# --- elementwise -----------------------------------------------------------------------------


def _unary(function: Callable[[Tensor], Tensor]) -> Callable[[Any, Inputs], Tensor]:
    return lambda a, inputs: function(inputs[0])


def _binary(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Any, Inputs], Tensor]:
    def compute(a: Any, inputs: Inputs) -> Tensor:
        y = function(inputs[0], inputs[1])
        return _activated(a, y) if hasattr(a, "activation") else y

    return compute


def _leaky_relu(a: Any, inputs: Inputs) -> Tensor:
    x, *slope = inputs  # a slope that is learned comes as an input
    return torch.where(x > 0, x, (slope[0] if slope else a.alpha) * x)


def _table(a: Any, inputs: Inputs) -> Tensor:
    x, *slope = inputs
    if slope:
        return torch.where(x > 0, x, slope[0] * x)
    return functions.compute(a.function, x, a.parameters)


# --- windows and reductions ------------------------------------------------------------------


def _max_pool2d(a: Any, inputs: Inputs) -> Tensor:
    image = padded(nchw(inputs[0]), a.padding, -math.inf)
    return _activated(a, nhwc(functional.max_pool2d(image, a.size, a.stride)))


def _average_pool2d(a: Any, inputs: Inputs) -> Tensor:
    x = inputs[0]
    image = padded(nchw(x), a.padding)
    totals = nhwc(functional.avg_pool2d(image, a.size, a.stride, divisor_override=1))
    counts = count_inside(a.window, (x.shape[1], x.shape[2]))[:, :, None]
    return _activated(a, totals / torch.from_numpy(counts).to(x))


def _reduction(function: Callable[..., Tensor]) -> Callable[[Any, Inputs], Tensor]:
    return lambda a, inputs: function(inputs[0], dim=a.axes, keepdim=a.keep_dims)


# --- moves -----------------------------------------------------------------------------------


def _batched(shape: Shape, x: Tensor) -> Tensor:
    size = math.prod(shape)
    return x.reshape((x.numel() // size * shape[0], *shape[1:]))


def _concat(a: Any, inputs: Inputs) -> Tensor:
    parts = list(inputs)
    if a.axis != 0:  # a constant has one sample only
        batch = max(x.shape[0] for x in parts)
        parts = [x.expand(batch, *x.shape[1:]) for x in parts]
    return torch.cat(parts, a.axis)


def _broadcast_to(a: Any, inputs: Inputs) -> Tensor:
    x, shape = inputs[0], a.shape
    is_batch = x.dim() == len(shape) and shape[0] == 1
    return x.expand(x.shape[0], *shape[1:]) if is_batch else x.expand(shape)


def _pad(a: Any, inputs: Inputs) -> Tensor:
    flat = [n for pair in reversed(a.paddings) for n in pair]
    return functional.pad(inputs[0], flat, value=a.value)


def _taken(x: Tensor, axis: int, places: Any) -> Tensor:
    return x.index_select(axis, torch.from_numpy(np.ascontiguousarray(places)).to(x.device))


def _mirror_pad(a: Any, inputs: Inputs) -> Tensor:
    x = inputs[0]
    for axis, pair in enumerate(a.paddings):
        places = np.arange(x.shape[axis])
        if a.repeats_edge:
            x = _taken(x, axis, np.pad(places, pair, mode="symmetric"))
        else:
            x = _taken(x, axis, np.pad(places, pair, mode="reflect"))
    return x


def _slice(a: Any, inputs: Inputs) -> Tensor:
    x = inputs[0]
    for axis, part in enumerate(a.parts):
        if part is not None:
            x = _taken(x, axis, np.arange(x.shape[axis])[part.index()])
    return x


def _depth_to_space(a: Any, inputs: Inputs) -> Tensor:
    (n, h, w, c), b = inputs[0].shape, a.block
    split = inputs[0].reshape(n, h, w, b, b, c // (b * b))
    return split.permute(0, 1, 3, 2, 4, 5).reshape(n, h * b, w * b, c // (b * b))


def _space_to_depth(a: Any, inputs: Inputs) -> Tensor:
    (n, h, w, c), b = inputs[0].shape, a.block
    split = inputs[0].reshape(n, h // b, b, w // b, b, c)
    return split.permute(0, 1, 3, 2, 4, 5).reshape(n, h // b, w // b, b * b * c)


def _resize_nearest(a: Any, inputs: Inputs) -> Tensor:
    rows, columns = indices(a, tuple(inputs[0].shape))
    return _taken(_taken(inputs[0], 1, rows), 2, columns)


def _interpolated(x: Tensor, rows: Taps, columns: Taps) -> Tensor:
    down = torch.from_numpy(rows.distance).to(x)[:, None, None]
    across = torch.from_numpy(columns.distance).to(x)[:, None]
    top, bottom = _taken(x, 1, rows.first), _taken(x, 1, rows.second)
    upper, lower = (
        _taken(line, 2, columns.first) * (1 - across) + _taken(line, 2, columns.second) * across
        for line in (top, bottom)
    )
    return upper * (1 - down) + lower * down


def _resize_bilinear(a: Any, inputs: Inputs) -> Tensor:
    x = inputs[0]
    rows, columns = (float_taps(x.shape[i + 1], a.size[i], a) for i in (0, 1))
    return _interpolated(x, rows, columns)


# --- the rest --------------------------------------------------------------------------------


def _l2_normalization(a: Any, inputs: Inputs) -> Tensor:
    return functional.normalize(inputs[0], dim=-1, eps=1e-12)


def _vector_norm(a: Any, inputs: Inputs) -> Tensor:
    return torch.linalg.vector_norm(inputs[0], dim=a.axis, keepdim=True)


_OPERATORS: dict[str, Callable[[Any, Inputs], Any]] = {
    "add": _binary(torch.add),
    "argmax": lambda a, inputs: inputs[0].argmax(a.axis).to(inputs[0].dtype),
    "average_pool2d": _average_pool2d,
    "broadcast_to": _broadcast_to,
    "concat": _concat,
    "conv2d": _conv2d,
    "depth_to_space": _depth_to_space,
    "depthwise_conv2d": _depthwise_conv2d,
    "fully_connected": _fully_connected,
    "hard_swish": _unary(functional.hardswish),
    "l2_normalization": _l2_normalization,
    "leaky_relu": _leaky_relu,
    "log_softmax": lambda a, inputs: functional.log_softmax(inputs[0], -1),
    "max_pool2d": _max_pool2d,
    "maximum": _binary(torch.maximum),
    "mean": _reduction(torch.mean),
    "minimum": _binary(torch.minimum),
    "mirror_pad": _mirror_pad,
    "mul": _binary(torch.mul),
    "pad": _pad,
    "prelu": _binary(lambda x, slope: torch.where(x >= 0, x, x * slope)),
    "reduce_max": _reduction(torch.amax),
    "reduce_min": _reduction(torch.amin),
    "relu": _unary(functional.relu),
    "relu6": _unary(functional.relu6),
    "reshape": lambda a, inputs: _batched(a.shape, inputs[0]),
    "resize_bilinear": _resize_bilinear,
    "resize_nearest": _resize_nearest,
    "sigmoid": _unary(torch.sigmoid),
    "slice": _slice,
    "softmax": lambda a, inputs: functional.softmax(inputs[0] * a.beta, -1),
    "space_to_depth": _space_to_depth,
    "split": lambda a, inputs: torch.split(inputs[0], a.sizes, a.axis),
    "squared_difference": _binary(lambda x, y: torch.square(x - y)),
    "sub": _binary(torch.sub),
    "sum": _reduction(torch.sum),
    "table": _table,
    "tanh": _unary(torch.tanh),
    "transpose": lambda a, inputs: inputs[0].permute(a.permutation),
    "transpose_conv2d": _transpose_conv2d,
    "vector_norm": _vector_norm,
}  # fmt: skip


def known() -> set[str]:
    """The names of the operators that can be trained; `batch_norm` has a module of its own."""
    return set(_OPERATORS)


def require_known(nodes: Sequence[Node]) -> None:
    """Raise `UnsupportedError` with every node that has no gradient here."""
    missing = [n for n in nodes if n.op not in _OPERATORS and n.op != "batch_norm"]
    if missing:
        reason = "quantization-aware training does not support it"
        advice = "quantize the trained network with edgecnn.quantize"
        raise UnsupportedError([Problem(n.op, n.output, reason, advice) for n in missing])


def compute(node: Node, inputs: Inputs) -> tuple[Tensor, ...]:
    """The outputs of a node."""
    result = _OPERATORS[node.op](node.attributes, inputs)
    return result if isinstance(result, tuple) else (result,)
