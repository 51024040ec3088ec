"""2-D convolution, NHWC, with groups and dilation.

Inputs: image (N, H, W, C), weights (O, KH, KW, C / groups), bias (O) or absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.accumulate import folded_bias, output_multipliers, weights_problem
from edgecnn.fixedpoint import requantize
from edgecnn.ir import Array, Attributes, Graph, Node, Shape
from edgecnn.operators import Dialect, Operator, activation_limits, apply_activation
from edgecnn.windows import Padding, Pair, Window, extract, image_output_shape


@dataclass(frozen=True)
class Conv2DAttributes(Attributes):
    """Stride and dilation are (height, width); padding is (top, bottom, left, right)."""

    stride: Pair = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    dilation: Pair = (1, 1)
    groups: int = 1
    activation: str = "none"


@dataclass(frozen=True, eq=False)
class Conv2DParams:
    """Integers of an int8 convolution; ``weights`` is (O, KH, KW, C / groups).

    ``bias`` has the input zero point folded in; padding is the zero point.
    """

    input_shape: Shape
    output_shape: Shape
    weights: Array
    bias: Array
    multiplier: Array
    shift: Array
    stride: Pair
    padding: Padding
    dilation: Pair
    groups: int
    input_zero_point: int
    output_zero_point: int
    activation_min: int
    activation_max: int


def window_of(attributes: Conv2DAttributes, weights_shape: Shape) -> Window:
    """The sliding window of a convolution with weights (O, KH, KW, C)."""
    size = (weights_shape[1], weights_shape[2])
    return Window(size, attributes.stride, attributes.padding, attributes.dilation)


def convolve(x: Array, weights: Array, window: Window, groups: int, fill: float) -> Array:
    """Correlate (N, H, W, C) with (O, KH, KW, C / groups) in the arrays' common type."""
    patches = extract(x, window, fill)
    n, oh, ow, kh, kw, c = patches.shape
    out_channels = weights.shape[0]
    blocks = patches.reshape(n, oh, ow, kh, kw, groups, c // groups)
    columns = blocks.transpose(5, 0, 1, 2, 3, 4, 6).reshape(groups, n * oh * ow, -1)
    filters = weights.reshape(groups, out_channels // groups, -1).transpose(0, 2, 1)
    result = np.matmul(columns, filters)
    return result.transpose(1, 0, 2).reshape(n, oh, ow, out_channels)


class Conv2D(Operator[Conv2DAttributes, Conv2DParams]):
    """2-D convolution."""

    attributes = Conv2DAttributes
    summary = "any stride, padding, dilation and groups"
    fuses_activation = True
    weights_axis = 0
    per_channel = True

    def infer_shapes(
        self, attributes: Conv2DAttributes, shapes: Sequence[Shape]
    ) -> tuple[Shape, ...]:
        image, weights = shapes[0], shapes[1]
        return (image_output_shape(image, window_of(attributes, weights), weights[0]),)

    def evaluate_float(
        self, attributes: Conv2DAttributes, inputs: Sequence[Array | None]
    ) -> tuple[Array, ...]:
        x, weights, bias = inputs
        assert x is not None
        assert weights is not None
        window = window_of(attributes, weights.shape)
        y = convolve(x, weights, window, attributes.groups, 0.0)
        return (apply_activation(attributes.activation, y if bias is None else y + bias),)

    def lower(self, node: Node, graph: Graph, dialect: Dialect) -> Conv2DParams:
        a = node.attributes
        assert isinstance(a, Conv2DAttributes)
        x, output = graph.tensors[node.inputs[0]], graph.tensors[node.output]
        weights = graph.constant(node.inputs[1])
        assert weights is not None
        multiplier, shift = output_multipliers(graph, node, weights.shape[0])
        low, high = activation_limits(a.activation, output.scale, output.zero_point)
        return Conv2DParams(
            input_shape=x.shape,
            output_shape=output.shape,
            weights=weights,
            bias=folded_bias(graph, node, channel_axis=0),
            multiplier=multiplier,
            shift=shift,
            stride=a.stride,
            padding=a.padding,
            dilation=a.dilation,
            groups=a.groups,
            input_zero_point=x.zero_point,
            output_zero_point=output.zero_point,
            activation_min=low,
            activation_max=high,
        )

    def evaluate_int(self, params: Conv2DParams, inputs: Sequence[Array]) -> tuple[Array, ...]:
        # float64 holds these sums exactly (they are under 2**31) and has a fast matmul.
        x = inputs[0].astype(np.float64)
        size = (params.weights.shape[1], params.weights.shape[2])
        window = Window(size, params.stride, params.padding, params.dilation)
        acc = convolve(
            x, params.weights.astype(np.float64), window, params.groups, params.input_zero_point
        )
        return (
            requantize(
                acc.astype(np.int64) + params.bias,
                params.multiplier,
                params.shift,
                params.output_zero_point,
                params.activation_min,
                params.activation_max,
            ),
        )

    def macs(
        self, attributes: Conv2DAttributes, shapes: Sequence[Shape], outputs: Sequence[Shape]
    ) -> int:
        return int(np.prod(outputs[0]) * np.prod(shapes[1][1:]))

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        return weights_problem(graph, node, channel_axis=0)


OPERATOR = Conv2D()
