"""Fully connected layer: rows of the input times the transposed weights.

Inputs: (…, K) of any rank, read as (rows, K); weights (O, K); bias (O) or absent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from edgecnn.accumulate import (
    folded_bias,
    multipliers_of,
    rescaled,
    sum_dtype,
    weight_scales,
    weights_problem,
    weights_zero_point,
)
from edgecnn.fixedpoint import round_half_away
from edgecnn.ir import INT8, INT32, Array, Attributes, Graph, Node, Shape
from edgecnn.operators import Dialect, Operator, activation_limits, apply_activation


@dataclass(frozen=True)
class FullyConnectedAttributes(Attributes):
    """``keep_dims`` keeps the leading dimensions of the input instead of flattening them."""

    activation: str = "none"
    keep_dims: bool = False


@dataclass(frozen=True, eq=False)
class FullyConnectedParams:
    """Integers of an int8 fully connected layer, or of a wide one; ``weights`` is (O, K).

    ``bias`` has the input zero point folded in. ``dtype`` is the type of the output, ``sums`` that
    of the accumulators, see `edgecnn.accumulate.Accumulated`.

    ``single_rounding_scale`` is set under the LiteRT dialect only: one real scale a channel,
    in place of multiplier and shift.
    """

    rows: int
    output_shape: Shape
    weights: Array
    bias: Array
    multiplier: Array
    shift: Array
    output_zero_point: int
    activation_min: int
    activation_max: int
    single_rounding_scale: Array | None = None
    weights_zero_point: int = 0
    dtype: str = INT8
    sums: str = INT32


def _real_multipliers(graph: Graph, node: Node, channels: int, dialect: Dialect) -> Array:
    """Input scale times weight scale over output scale, as each runtime multiplies it.

    tflite-runtime 2.14 multiplies input and weight scale in float32 for per-tensor weights
    (``GetQuantizedConvolutionMultipler``); TFLite Micro in double. LiteRT 2.3 keeps the real
    product and rounds the scaled sum once (``reference_integer_ops::FullyConnected`` with
    scales).
    """
    input_scale = graph.tensors[node.inputs[0]].scale
    weights = graph.tensors[node.inputs[1]].quant
    assert weights is not None
    scales = weight_scales(graph, node, channels)
    if dialect is Dialect.TFLITE and not weights.is_per_channel:
        product = (np.float32(input_scale) * scales.astype(np.float32)).astype(np.float64)
    else:
        product = input_scale * scales
    return product / graph.tensors[node.output].scale


class FullyConnected(Operator[FullyConnectedAttributes, FullyConnectedParams]):
    """Fully connected layer."""

    attributes = FullyConnectedAttributes
    summary = "with or without bias, input of any rank"
    differences: ClassVar[Mapping[Dialect, str]] = {
        Dialect.TFLITE: "it multiplies input and weight scale in float32, not in double",
        Dialect.LITERT: "it rounds once, not twice",
    }
    fuses_activation = True
    weights_axis = 0
    sums_columns = True
    per_channel = True
    has_wide_form = True

    def infer_shapes(
        self, attributes: FullyConnectedAttributes, shapes: Sequence[Shape]
    ) -> tuple[Shape, ...]:
        units, depth = shapes[1]
        if attributes.keep_dims:
            return ((*shapes[0][:-1], units),)
        return ((int(np.prod(shapes[0])) // depth, units),)

    def evaluate_float(
        self, attributes: FullyConnectedAttributes, inputs: Sequence[Array | None]
    ) -> tuple[Array, ...]:
        x, weights, bias = inputs
        assert x is not None
        assert weights is not None
        y = x.reshape(-1, weights.shape[1]) @ weights.T
        y = apply_activation(attributes.activation, y if bias is None else y + bias)
        return (y.reshape(*x.shape[:-1], -1) if attributes.keep_dims else y,)

    def columns(
        self, attributes: FullyConnectedAttributes, x: Array, weights_shape: Shape
    ) -> Array:
        return x.reshape(1, -1, weights_shape[1])

    def lower(self, node: Node, graph: Graph, dialect: Dialect) -> FullyConnectedParams:
        a = node.attributes
        assert isinstance(a, FullyConnectedAttributes)
        x, output = graph.tensors[node.inputs[0]], graph.tensors[node.output]
        weights = graph.constant(node.inputs[1])
        assert weights is not None
        real = _real_multipliers(graph, node, weights.shape[0], dialect)
        sums = sum_dtype(graph, node)
        multiplier, shift = multipliers_of(real, sums)
        low, high = activation_limits(a.activation, output.scale, output.zero_point, output.dtype)
        return FullyConnectedParams(
            rows=x.size // weights.shape[1],
            output_shape=output.shape,
            weights=weights,
            bias=folded_bias(graph, node, channel_axis=0),
            multiplier=multiplier,
            shift=shift,
            output_zero_point=output.zero_point,
            activation_min=low,
            activation_max=high,
            single_rounding_scale=real if dialect is Dialect.LITERT else None,
            weights_zero_point=weights_zero_point(graph, node),
            dtype=output.dtype,
            sums=sums,
        )

    def evaluate_int(
        self, params: FullyConnectedParams, inputs: Sequence[Array]
    ) -> tuple[Array, ...]:
        x = inputs[0].reshape(-1, params.weights.shape[1]).astype(np.float64)
        sums = x @ (params.weights.T.astype(np.float64) - params.weights_zero_point)
        acc = sums.astype(np.int64) + params.bias
        if params.single_rounding_scale is None:
            y = rescaled(params, acc)
        else:
            scaled = round_half_away(acc * params.single_rounding_scale)
            limits = (params.activation_min, params.activation_max)
            y = np.clip(scaled + params.output_zero_point, *limits).astype(params.dtype)
        batch = y.shape[0] // params.rows
        return (y.reshape(batch * params.output_shape[0], *params.output_shape[1:]),)

    def macs(
        self,
        attributes: FullyConnectedAttributes,
        shapes: Sequence[Shape],
        outputs: Sequence[Shape],
    ) -> int:
        return int(np.prod(outputs[0]) * shapes[1][1])

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        return weights_problem(graph, node, channel_axis=0, asymmetric=True)

    def incomparable(self, node: Node, graph: Graph, dialect: Dialect) -> str | None:
        if dialect is Dialect.TFLITE and graph.is_wide(node) and not any(node.inputs[2:]):
            return "tflite-runtime 2.14 sums products of int16 in int32 where there is no bias"
        return None


OPERATOR = FullyConnected()
