"""SVDF: a filter of rank R over features and time, as one step from a state of zero.

Inputs: features (N, I), feature weights (F, I), time weights (F, M) and biases (U) or absent, with
F = U * R. A streaming network keeps the last M results of the features in a variable and calls
the operator once for each frame. Here no state is kept from one run to the next: it is zero before
each, so that of the time weights only the last column, that of the newest frame, counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.accumulate import MAX_OFFSET_INPUT
from edgecnn.fixedpoint import (
    INT32_MAX,
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    requantize,
    scaling_overflows,
)
from edgecnn.ir import INT16, Array, Attributes, Graph, Node, Shape
from edgecnn.operators import Dialect, Operator, in_both


@dataclass(frozen=True)
class SvdfAttributes(Attributes):
    """The rank, and the scale and zero point that the state has in an int8 graph."""

    rank: int = 1
    state: tuple[float, int] = (1.0, 0)


@dataclass(frozen=True, eq=False)
class SvdfParams:
    """Integers of an int8 SVDF that starts from zero.

    ``weights`` is (F, I) and ``time_weights`` (F), the last column. ``feature_bias`` (F) has the
    input zero point folded in. The state is clamped to ``[state_min, state_max]`` before its zero
    point is added, and then wraps to ``state_bits``.
    """

    rank: int
    weights: Array
    time_weights: Array
    feature_bias: Array
    bias: Array
    feature_scaling: tuple[int, int]
    output_scaling: tuple[int, int]
    state_zero_point: int
    state_bits: int
    output_zero_point: int


def _effective_scales(node: Node, graph: Graph, dialect: Dialect) -> tuple[float, float]:
    """Scales of the feature and of the time product.

    TFLite Micro multiplies and divides in double (seen in tflite-micro of October 2026; older
    sources do so in float32), TensorFlow Lite's ``svdf.cc`` in float32.
    """
    a = node.attributes
    assert isinstance(a, SvdfAttributes)
    number = np.float64 if dialect is Dialect.TFLM else np.float32
    x, weights, time = (number(graph.tensors[name].scale) for name in node.inputs[:3])
    state, output = number(a.state[0]), number(graph.tensors[node.output].scale)
    return float(x * weights / state), float(state * time / output)


def _bias(node: Node, graph: Graph, units: int) -> Array:
    data = graph.constant(node.inputs[3]) if len(node.inputs) > 3 else None
    return np.zeros(units, np.int32) if data is None else data


class Svdf(Operator[SvdfAttributes, SvdfParams]):
    """SVDF in one step."""

    attributes = SvdfAttributes
    summary = "int8 only; one step from a state of zero: no state is kept between runs"
    differences = in_both("it multiplies the scales in float32, not in double")
    weights_axis = 0
    weight_biases = {1: None, 2: 3}  # noqa: RUF012 - a class constant, as in the base

    def infer_shapes(
        self, attributes: SvdfAttributes, shapes: Sequence[Shape]
    ) -> tuple[Shape, ...]:
        (batch, depth), (filters, columns), (rows, _) = shapes[:3]
        units = filters // attributes.rank
        bias = shapes[3] if len(shapes) > 3 else ()
        if depth != columns or rows != filters or bias not in ((), (units,)):
            raise ValueError("weights and biases do not belong together")
        if units * attributes.rank != filters:
            raise ValueError(f"{filters} filters have no rank {attributes.rank}")
        return ((batch, units),)

    def evaluate_float(
        self, attributes: SvdfAttributes, inputs: Sequence[Array | None]
    ) -> tuple[Array, ...]:
        x, weights, time = inputs[:3]
        assert x is not None
        assert weights is not None
        assert time is not None
        filtered = (x @ weights.T) * time[:, -1]
        y = filtered.reshape(len(x), -1, attributes.rank).sum(axis=2)
        bias = inputs[3] if len(inputs) > 3 else None
        return (y if bias is None else y + bias,)

    def lower(self, node: Node, graph: Graph, dialect: Dialect) -> SvdfParams:
        """As TFLM's ``PrepareSvdf``."""
        a = node.attributes
        assert isinstance(a, SvdfAttributes)
        x, output = graph.tensors[node.inputs[0]], graph.tensors[node.output]
        weights, time = (graph.constant(name) for name in node.inputs[1:3])
        assert weights is not None
        assert time is not None
        features, outputs = _effective_scales(node, graph, dialect)
        return SvdfParams(
            rank=a.rank,
            weights=weights,
            time_weights=time[:, -1],
            feature_bias=(-x.zero_point * weights.sum(axis=1, dtype=np.int64)).astype(np.int32),
            bias=_bias(node, graph, len(weights) // a.rank),
            feature_scaling=quantize_multiplier(features),
            output_scaling=quantize_multiplier(outputs),
            state_zero_point=a.state[1],
            state_bits=8 * time.dtype.itemsize,
            output_zero_point=output.zero_point,
        )

    def evaluate_int(self, params: SvdfParams, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """As TFLM's ``EvalIntegerSvdfReference``, where old state times its weights is zero."""
        p = params
        sums = inputs[0].astype(np.int64) @ p.weights.T.astype(np.int64) + p.feature_bias
        half = 1 << (p.state_bits - 1)
        scaled = multiply_by_quantized_multiplier(sums, *p.feature_scaling)
        state = np.clip(scaled, -half, half - 1) + p.state_zero_point
        state = (state + half) % (2 * half) - half
        products = (state - p.state_zero_point) * p.time_weights.astype(np.int64)
        acc = products.reshape(len(products), -1, p.rank).sum(axis=2) + p.bias
        return (requantize(acc, *p.output_scaling, p.output_zero_point),)

    def macs(
        self, attributes: SvdfAttributes, shapes: Sequence[Shape], outputs: Sequence[Shape]
    ) -> int:
        return shapes[0][0] * (math.prod(shapes[1]) + shapes[1][0])

    def incomparable(self, node: Node, graph: Graph, dialect: Dialect) -> str | None:
        if dialect is Dialect.TFLM or graph.tensors[node.inputs[2]].dtype == INT16:
            return None
        return "TensorFlow Lite has no SVDF with int8 state, TensorFlow Lite Micro has"

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        a = node.attributes
        assert isinstance(a, SvdfAttributes)
        weights, time = (graph.constant(name) for name in node.inputs[1:3])
        if weights is None or time is None:
            return "its weights are computed by the network; they must be constant"
        if graph.tensors[node.output].quant is None:
            return "it is float; only int8 networks may have it"
        for name in node.inputs[1:3]:
            quant = graph.tensors[name].quant
            if quant is None or any(quant.zero_point) or quant.is_per_channel:
                return "its weights do not have one scale with zero point 0"
        if time.dtype == np.int16 and a.state[1] != 0:
            return "its int16 state has a zero point other than 0"
        return _overflow(node, graph, weights, time[:, -1])


def _overflow(node: Node, graph: Graph, weights: Array, newest: Array) -> str | None:
    """Say where a sum can overflow, or None."""
    a = node.attributes
    assert isinstance(a, SvdfAttributes)
    features, outputs = (
        quantize_multiplier(s)[1] for s in _effective_scales(node, graph, Dialect.TFLM)
    )
    first = np.abs(weights.astype(np.int64)).sum(axis=1) * MAX_OFFSET_INPUT
    # A state that wraps is up to twice as far from its zero point.
    reach = (1 << (8 * newest.dtype.itemsize - 1)) * (2 if a.state[1] else 1)
    second = np.abs(newest.astype(np.int64)).reshape(-1, a.rank).sum(axis=1) * reach
    second = second + np.abs(_bias(node, graph, len(second)).astype(np.int64))
    if np.any(first > INT32_MAX) or np.any(second > INT32_MAX):
        return "its int32 accumulator can overflow with these weights and biases"
    if scaling_overflows(first, np.array(features)):
        return "the scale of its state is so small that rescaling overflows int32"
    if scaling_overflows(second, np.array(outputs)):
        return "its output scale is so small that rescaling overflows int32"
    return None


OPERATOR = Svdf()
