"""Transposed 2-D convolution, NHWC: each input pixel adds its filter to the output.

Inputs: image (N, H, W, C), weights (O, KH, KW, C), bias (O) or absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.accumulate import bias_or_zeros, output_multipliers, weights_problem
from edgecnn.fixedpoint import requantize
from edgecnn.ir import Array, Attributes, Graph, Node, Shape
from edgecnn.operators import Dialect, Operator, activation_limits, apply_activation
from edgecnn.windows import Pair


@dataclass(frozen=True)
class TransposeConv2DAttributes(Attributes):
    """Pairs are (height, width).

    Input pixel (y, x) adds to output pixels from ``stride * (y, x) - start`` on; ``size`` is that
    of the output, and what falls outside is dropped.
    """

    size: Pair
    stride: Pair = (1, 1)
    start: Pair = (0, 0)
    activation: str = "none"


@dataclass(frozen=True, eq=False)
class TransposeConv2DParams:
    """Integers of an int8 transposed convolution; ``weights`` is (O, KH, KW, C)."""

    input_shape: Shape
    output_shape: Shape
    weights: Array
    bias: Array
    multiplier: Array
    shift: Array
    stride: Pair
    start: Pair
    input_zero_point: int
    output_zero_point: int
    activation_min: int
    activation_max: int


def whole_size(attributes: TransposeConv2DAttributes, image: Pair, kernel: Pair) -> Pair:
    """Height and width before the cut: all that the filters reach, and what is wanted beyond."""
    a = attributes
    height, width = (
        max((n - 1) * s + k, first + m)
        for n, k, s, first, m in zip(image, kernel, a.stride, a.start, a.size, strict=True)
    )
    return height, width


def scatter(x: Array, weights: Array, stride: Pair, start: Pair, size: Pair) -> Array:
    """Add up the filters of all input pixels, in the arrays' common type: (N, *size, O)."""
    n, h, w, _ = x.shape
    filters, kh, kw, _ = weights.shape
    (sh, sw), (top, left) = stride, start
    whole = (max((h - 1) * sh + kh, top + size[0]), max((w - 1) * sw + kw, left + size[1]))
    total = np.zeros((n, *whole, filters), x.dtype)
    for ky in range(kh):
        for kx in range(kw):
            rows = slice(ky, ky + (h - 1) * sh + 1, sh)
            columns = slice(kx, kx + (w - 1) * sw + 1, sw)
            total[:, rows, columns] += np.matmul(x, weights[:, ky, kx].T)
    return total[:, top : top + size[0], left : left + size[1]]


class TransposeConv2D(Operator[TransposeConv2DAttributes, TransposeConv2DParams]):
    """Transposed 2-D convolution."""

    attributes = TransposeConv2DAttributes
    summary = "any stride, padding and output padding"
    fuses_activation = True
    weights_axis = 0
    per_channel = True

    def infer_shapes(
        self, attributes: TransposeConv2DAttributes, shapes: Sequence[Shape]
    ) -> tuple[Shape, ...]:
        (n, _, _, c), (filters, _, _, depth) = shapes[0], shapes[1]
        if c != depth:
            raise ValueError(f"filters of depth {depth} over {c} channels")
        return ((n, *attributes.size, filters),)

    def evaluate_float(
        self, attributes: TransposeConv2DAttributes, inputs: Sequence[Array | None]
    ) -> tuple[Array, ...]:
        x, weights, bias = inputs
        assert x is not None
        assert weights is not None
        a = attributes
        y = scatter(x, weights, a.stride, a.start, a.size)
        return (apply_activation(a.activation, y if bias is None else y + bias),)

    def lower(self, node: Node, graph: Graph, dialect: Dialect) -> TransposeConv2DParams:
        a = node.attributes
        assert isinstance(a, TransposeConv2DAttributes)
        x, output = graph.tensors[node.inputs[0]], graph.tensors[node.output]
        weights = graph.constant(node.inputs[1])
        assert weights is not None
        multiplier, shift = output_multipliers(graph, node, weights.shape[0])
        low, high = activation_limits(a.activation, output.scale, output.zero_point)
        return TransposeConv2DParams(
            input_shape=x.shape,
            output_shape=output.shape,
            weights=weights,
            bias=bias_or_zeros(graph, node, weights.shape[0]),
            multiplier=multiplier,
            shift=shift,
            stride=a.stride,
            start=a.start,
            input_zero_point=x.zero_point,
            output_zero_point=output.zero_point,
            activation_min=low,
            activation_max=high,
        )

    def evaluate_int(
        self, params: TransposeConv2DParams, inputs: Sequence[Array]
    ) -> tuple[Array, ...]:
        p = params
        # float64 holds these sums exactly (they are under 2**31) and has a fast matmul.
        x = inputs[0].astype(np.float64) - p.input_zero_point
        size = (p.output_shape[1], p.output_shape[2])
        acc = scatter(x, p.weights.astype(np.float64), p.stride, p.start, size)
        return (
            requantize(
                acc.astype(np.int64) + p.bias,
                p.multiplier,
                p.shift,
                p.output_zero_point,
                p.activation_min,
                p.activation_max,
            ),
        )

    def macs(
        self,
        attributes: TransposeConv2DAttributes,
        shapes: Sequence[Shape],
        outputs: Sequence[Shape],
    ) -> int:
        return int(np.prod(shapes[0]) * np.prod(shapes[1][:3]))

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        a = node.attributes
        assert isinstance(a, TransposeConv2DAttributes)
        image, kernel = (graph.tensors[name].shape[1:3] for name in node.inputs[:2])
        whole = whole_size(a, (image[0], image[1]), (kernel[0], kernel[1]))
        for n, k, s, m in zip(image, kernel, a.stride, whole, strict=True):
            if m >= n * s + k:
                return f"its output of {m} reaches a stride or more beyond its {n} inputs"
        if a.activation not in ("none", "relu", "relu6"):
            return f"its fused activation is {a.activation}; only relu and relu6 are supported"
        return weights_problem(graph, node, channel_axis=0)


OPERATOR = TransposeConv2D()
