"""2-D convolution, NHWC, with groups and dilation.

Inputs: image (N, H, W, C), weights (O, KH, KW, C / groups), bias (O) or absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.accumulate import rescaled
from edgecnn.convolution_operator import (
    ConvolutionAttributes,
    ConvolutionOperator,
    ConvolutionParams,
    window_of,
)
from edgecnn.ir import Array, Graph, Node, Shape
from edgecnn.operators import Dialect
from edgecnn.windows import Window, extract


@dataclass(frozen=True)
class Conv2DAttributes(ConvolutionAttributes):
    """Stride and dilation are (height, width); padding is (top, bottom, left, right)."""

    groups: int = 1


@dataclass(frozen=True, eq=False)
class Conv2DParams(ConvolutionParams):
    """Integers of an int8 convolution; ``weights`` is (O, KH, KW, C / groups)."""

    groups: int


def columns_of(patches: Array, groups: int) -> Array:
    """(N, OH, OW, KH, KW, C) as (groups, N * OH * OW, KH * KW * C / groups)."""
    n, oh, ow, kh, kw, c = patches.shape
    blocks = patches.reshape(n, oh, ow, kh, kw, groups, c // groups)
    return blocks.transpose(5, 0, 1, 2, 3, 4, 6).reshape(groups, n * oh * ow, -1)


def convolve(x: Array, weights: Array, window: Window, groups: int, fill: float) -> Array:
    """Correlate (N, H, W, C) with (O, KH, KW, C / groups) in the arrays' common type."""
    patches = extract(x, window, fill)
    filters = weights.reshape(groups, len(weights) // groups, -1).transpose(0, 2, 1)
    result = np.matmul(columns_of(patches, groups), filters)
    return result.transpose(1, 0, 2).reshape(*patches.shape[:3], len(weights))


class Conv2D(ConvolutionOperator[Conv2DAttributes, Conv2DParams]):
    """2-D convolution."""

    attributes = Conv2DAttributes
    summary = "any stride, padding, dilation and groups"
    weights_axis = 0
    sums_columns = True

    def correlate(
        self, a: Conv2DAttributes | Conv2DParams, x: Array, weights: Array, fill: float
    ) -> Array:
        return convolve(x, weights, window_of(a, weights.shape), a.groups, fill)

    def columns(self, attributes: Conv2DAttributes, x: Array, weights_shape: Shape) -> Array:
        return columns_of(extract(x, window_of(attributes, weights_shape), 0), attributes.groups)

    def lower(self, node: Node, graph: Graph, dialect: Dialect) -> Conv2DParams:
        a = node.attributes
        assert isinstance(a, Conv2DAttributes)
        return Conv2DParams(**vars(self.lowered(node, graph)), groups=a.groups)

    def evaluate_int(self, params: Conv2DParams, inputs: Sequence[Array]) -> tuple[Array, ...]:
        # float64 holds these sums exactly (they are under 2**47) and has a fast matmul.
        x, weights = inputs[0].astype(np.float64), params.weights.astype(np.float64)
        acc = self.correlate(params, x, weights, params.input_zero_point)
        return (rescaled(params, acc.astype(np.int64) + params.bias),)

    def macs(
        self, attributes: Conv2DAttributes, shapes: Sequence[Shape], outputs: Sequence[Shape]
    ) -> int:
        return int(np.prod(outputs[0]) * np.prod(shapes[1][1:]))


OPERATOR = Conv2D()
