"""2-D depthwise convolution, NHWC: each channel has filters of its own.

Inputs: image (N, H, W, C), weights (1, KH, KW, C * M), bias (C * M) or absent. Output channel
``c * M + m`` is channel c filtered with its m-th filter; M is the depth multiplier.
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
class DepthwiseConv2DAttributes(Attributes):
    """Stride and dilation are (height, width); padding is (top, bottom, left, right)."""

    stride: Pair = (1, 1)
    padding: Padding = (0, 0, 0, 0)
    dilation: Pair = (1, 1)
    activation: str = "none"


@dataclass(frozen=True, eq=False)
class DepthwiseConv2DParams:
    """Integers of an int8 depthwise convolution; ``weights`` is (1, KH, KW, C * M).

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
    input_zero_point: int
    output_zero_point: int
    activation_min: int
    activation_max: int


def filter_channels(x: Array, weights: Array, window: Window, fill: float) -> Array:
    """Filter (N, H, W, C) channel by channel with (1, KH, KW, C * M)."""
    patches = extract(x, window, fill)
    n, oh, ow, kh, kw, c = patches.shape
    filters = weights.reshape(kh, kw, c, -1)
    result = np.einsum("nyxhwc,hwcm->nyxcm", patches, filters, optimize=False)
    return result.reshape(n, oh, ow, -1)


class DepthwiseConv2D(Operator[DepthwiseConv2DAttributes, DepthwiseConv2DParams]):
    """2-D depthwise convolution."""

    attributes = DepthwiseConv2DAttributes
    summary = "any stride, padding, dilation and depth multiplier"
    fuses_activation = True
    weights_axis = 3
    per_channel = True

    def _window(
        self, a: DepthwiseConv2DAttributes | DepthwiseConv2DParams, weights: Shape
    ) -> Window:
        return Window((weights[1], weights[2]), a.stride, a.padding, a.dilation)

    def infer_shapes(
        self, attributes: DepthwiseConv2DAttributes, shapes: Sequence[Shape]
    ) -> tuple[Shape, ...]:
        image, weights = shapes[0], shapes[1]
        return (image_output_shape(image, self._window(attributes, weights), weights[3]),)

    def evaluate_float(
        self, attributes: DepthwiseConv2DAttributes, inputs: Sequence[Array | None]
    ) -> tuple[Array, ...]:
        x, weights, bias = inputs
        assert x is not None
        assert weights is not None
        y = filter_channels(x, weights, self._window(attributes, weights.shape), 0.0)
        return (apply_activation(attributes.activation, y if bias is None else y + bias),)

    def lower(self, node: Node, graph: Graph, dialect: Dialect) -> DepthwiseConv2DParams:
        a = node.attributes
        assert isinstance(a, DepthwiseConv2DAttributes)
        x, output = graph.tensors[node.inputs[0]], graph.tensors[node.output]
        weights = graph.constant(node.inputs[1])
        assert weights is not None
        multiplier, shift = output_multipliers(graph, node, weights.shape[3])
        low, high = activation_limits(a.activation, output.scale, output.zero_point)
        return DepthwiseConv2DParams(
            input_shape=x.shape,
            output_shape=output.shape,
            weights=weights,
            bias=folded_bias(graph, node, channel_axis=3),
            multiplier=multiplier,
            shift=shift,
            stride=a.stride,
            padding=a.padding,
            dilation=a.dilation,
            input_zero_point=x.zero_point,
            output_zero_point=output.zero_point,
            activation_min=low,
            activation_max=high,
        )

    def evaluate_int(
        self, params: DepthwiseConv2DParams, inputs: Sequence[Array]
    ) -> tuple[Array, ...]:
        x = inputs[0].astype(np.int32)
        window = self._window(params, params.weights.shape)
        acc = filter_channels(x, params.weights.astype(np.int32), window, params.input_zero_point)
        return (
            requantize(
                acc + params.bias,
                params.multiplier,
                params.shift,
                params.output_zero_point,
                params.activation_min,
                params.activation_max,
            ),
        )

    def macs(
        self,
        attributes: DepthwiseConv2DAttributes,
        shapes: Sequence[Shape],
        outputs: Sequence[Shape],
    ) -> int:
        return int(np.prod(outputs[0]) * np.prod(shapes[1][1:3]))

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        return weights_problem(graph, node, channel_axis=3)


OPERATOR = DepthwiseConv2D()
