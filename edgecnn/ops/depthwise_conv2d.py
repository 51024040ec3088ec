"""2-D depthwise convolution, NHWC: each channel has filters of its own.

Inputs: image (N, H, W, C), weights (1, KH, KW, C * M), bias (C * M) or absent. Output channel
``c * M + m`` is channel c filtered with its m-th filter; M is the depth multiplier.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgecnn.accumulate import rescaled, sum_dtype
from edgecnn.convolution_operator import (
    ConvolutionAttributes,
    ConvolutionOperator,
    ConvolutionParams,
    window_of,
)
from edgecnn.ir import INT32, Array, Graph, Node, Shape
from edgecnn.operators import Dialect
from edgecnn.windows import Window, extract


class DepthwiseConv2DAttributes(ConvolutionAttributes):
    """Stride and dilation are (height, width); padding is (top, bottom, left, right)."""


class DepthwiseConv2DParams(ConvolutionParams):
    """Integers of an int8 depthwise convolution; ``weights`` is (1, KH, KW, C * M)."""


def filter_channels(x: Array, weights: Array, window: Window, fill: float) -> Array:
    """Filter (N, H, W, C) channel by channel with (1, KH, KW, C * M)."""
    patches = extract(x, window, fill)
    n, oh, ow, kh, kw, c = patches.shape
    filters = weights.reshape(kh, kw, c, -1)
    result = np.einsum("nyxhwc,hwcm->nyxcm", patches, filters, optimize=False)
    return result.reshape(n, oh, ow, -1)


class DepthwiseConv2D(ConvolutionOperator[DepthwiseConv2DAttributes, DepthwiseConv2DParams]):
    """2-D depthwise convolution."""

    attributes = DepthwiseConv2DAttributes
    summary = "any stride, padding, dilation and depth multiplier"
    weights_axis = 3
    sums_columns = True

    def correlate(
        self,
        a: DepthwiseConv2DAttributes | DepthwiseConv2DParams,
        x: Array,
        weights: Array,
        fill: float,
    ) -> Array:
        return filter_channels(x, weights, window_of(a, weights.shape), fill)

    def columns(
        self, attributes: DepthwiseConv2DAttributes, x: Array, weights_shape: Shape
    ) -> Array:
        patches = extract(x, window_of(attributes, weights_shape), 0)
        rows, depth = int(np.prod(patches.shape[:3])), int(np.prod(weights_shape[1:3]))
        return patches.reshape(rows, depth, -1).transpose(2, 0, 1)

    def filters(self, weights: Array, groups: int) -> Array:
        _, height, width, channels = weights.shape
        taps = weights.reshape(height * width, groups, channels // groups)
        return taps.transpose(1, 2, 0)

    def from_filters(self, filters: Array, weights_shape: Shape) -> Array:
        return filters.transpose(2, 0, 1).reshape(weights_shape)

    def lower(self, node: Node, graph: Graph, dialect: Dialect) -> DepthwiseConv2DParams:
        return DepthwiseConv2DParams(**vars(self.lowered(node, graph)))

    def evaluate_int(
        self, params: DepthwiseConv2DParams, inputs: Sequence[Array]
    ) -> tuple[Array, ...]:
        x, weights = inputs[0].astype(params.sums), params.weights.astype(params.sums)
        sums = self.correlate(params, x, weights, params.input_zero_point)
        return (rescaled(params, sums.astype(np.int64) + params.bias),)

    def macs(
        self,
        attributes: DepthwiseConv2DAttributes,
        shapes: Sequence[Shape],
        outputs: Sequence[Shape],
    ) -> int:
        return int(np.prod(outputs[0]) * np.prod(shapes[1][1:3]))

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        if graph.is_wide(node) and sum_dtype(graph, node) == INT32:
            return "its input is int16 and its bias int32; TFLite takes an int64 bias"
        return super().unsupported(node, graph)


OPERATOR = DepthwiseConv2D()
