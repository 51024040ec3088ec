"""A table of random layers as networks have them, with integers at the ends of their ranges."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from edgecnn.convolution_operator import window_of
from edgecnn.ops.conv2d import Conv2DAttributes
from edgecnn.ops.depthwise_conv2d import DepthwiseConv2DAttributes
from edgecnn.ops.fully_connected import FullyConnectedAttributes
from edgecnn.windows import same_padding
from tests.ops.case_table import (
    ACTIVATIONS,
    Case,
    Rng,
    Value,
    draw,
    draw_scale,
    draw_weighted,
    draw_zero_point,
    random_cases,
)

#: Layers of each operator.
LAYERS = 320

_WINDOWS = ((1, 1), (1, 1), (1, 1), (3, 3), (3, 3), (3, 3), (3, 3), (1, 3), (3, 1), (1, 7), (5, 5),
            (2, 2), (10, 4), (4, 3))  # fmt: skip
_STRIDES = ((1, 1), (1, 1), (1, 1), (2, 2), (2, 1), (1, 2))


def _image(rng: Rng, window: tuple[int, int], channels: int) -> Value:
    height, width = (int(rng.integers(n, n + 10)) for n in window)
    return Value((1, height, width, channels), draw_scale(rng), draw_zero_point(rng))


def _convolution(rng: Rng, name: str) -> Case:
    window, stride = draw(rng, _WINDOWS), draw(rng, _STRIDES)
    depth, filters = draw(rng, (1, 3, 4, 7, 8, 16, 20)), draw(rng, (1, 3, 4, 6, 8, 13, 16))
    x = _image(rng, window, depth)
    same = same_padding((x.shape[1], x.shape[2]), window, stride, (1, 1))
    padding = draw(rng, ((0, 0, 0, 0), same, same, (1, 0, 2, 1)))
    attributes = Conv2DAttributes(stride, padding, activation=draw(rng, ACTIVATIONS))
    per_channel, bias = bool(rng.random() < 0.8), bool(rng.random() < 0.8)
    inputs, output = draw_weighted(
        rng, x, (filters, *window, depth), 0, per_channel=per_channel, bias=bias
    )
    return Case(name, "conv2d", inputs, attributes, output)


def _depthwise(rng: Rng, name: str) -> Case:
    window, stride = draw(rng, _WINDOWS), draw(rng, _STRIDES)
    depth, multiplier = draw(rng, (1, 2, 3, 4, 5, 8, 12, 17)), draw(rng, (1, 1, 1, 1, 2, 8))
    x = _image(rng, window, depth)
    same = same_padding((x.shape[1], x.shape[2]), window, stride, (1, 1))
    padding = draw(rng, ((0, 0, 0, 0), same, same, (1, 0, 2, 1)))
    attributes = DepthwiseConv2DAttributes(stride, padding, activation=draw(rng, ACTIVATIONS))
    shape = (1, *window, depth * multiplier)
    assert min(window_of(attributes, shape).output_size(*x.shape[1:3])) > 0
    per_channel, bias = bool(rng.random() < 0.8), bool(rng.random() < 0.8)
    inputs, output = draw_weighted(rng, x, shape, 3, per_channel=per_channel, bias=bias)
    return Case(name, "depthwise_conv2d", inputs, attributes, output)


def _fully_connected(rng: Rng, name: str) -> Case:
    units, depth = int(rng.integers(1, 70)), int(rng.integers(1, 300))
    x = Value((draw(rng, (1, 1, 1, 3)), depth), draw_scale(rng), draw_zero_point(rng))
    per_channel, bias = bool(rng.random() < 0.4), bool(rng.random() < 0.8)
    inputs, output = draw_weighted(rng, x, (units, depth), 0, per_channel=per_channel, bias=bias)
    attributes = FullyConnectedAttributes(draw(rng, ACTIVATIONS))
    return Case(name, "fully_connected", inputs, attributes, output)


MAKERS: Mapping[str, Callable[[Rng, str], Case]] = {
    "conv2d": _convolution,
    "depthwise_conv2d": _depthwise,
    "fully_connected": _fully_connected,
}


def layers(op: str) -> list[Case]:
    """The layers of an operator, always the same."""
    return random_cases(MAKERS[op], LAYERS, seed=sum(op.encode()))
