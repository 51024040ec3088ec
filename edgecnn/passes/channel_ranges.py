"""Which int8 values each channel of an int8 graph can take, whatever the inputs are.

Interval arithmetic on the integers that the operators lower to. Every step is monotonic
(weighted sums at their extremes, rescaling, clamping, tables), so the bounds are safe; a channel
whose bounds meet has one value everywhere, for every input.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from edgecnn.accumulate import weights_zero_point
from edgecnn.convolution_operator import ConvolutionParams, window_of
from edgecnn.fixedpoint import INT8_MAX, INT8_MIN, requantize
from edgecnn.ir import Array, Graph, Node
from edgecnn.operators import Dialect, operator
from edgecnn.passes.channel_links import attributes, channels, is_plain, links, sums_channels
from edgecnn.table_operator import CODES
from edgecnn.windows import extract


class Range(NamedTuple):
    """Lowest and highest value of each channel of a tensor (int64, both included)."""

    low: Array
    high: Array

    @property
    def constant(self) -> Array:
        """Which channels have one value only."""
        same: Array = self.low == self.high
        return same


Ranges = Mapping[str, Range]


def channel_ranges(graph: Graph) -> dict[str, Range]:
    """The range of every activation, under TensorFlow Lite Micro's arithmetic.

    Inputs of the graph can take every value, and so can the outputs of operators that are not
    known here.
    """
    ranges = {name: _full(channels(graph, name)) for name in graph.inputs}
    for node in graph.nodes:
        ranges.update(zip(node.outputs, _node_ranges(node, graph, ranges), strict=True))
    return ranges


def accumulator_range(node: Node, graph: Graph, ranges: Ranges) -> Range:
    """Bounds of the int32 sums of a convolution or fully connected layer, bias included."""
    params = operator(node.op).lower(node, graph, Dialect.TFLM)
    return _SUMS[node.op](node, graph, params, ranges[node.inputs[0]])


def taps_inside(node: Node, graph: Graph) -> Array:
    """Which taps (KH, KW) of a convolution's window never lie in the padding."""
    shape = graph.tensors[node.inputs[0]].shape
    window = window_of(attributes(node), graph.tensors[node.inputs[1]].shape)
    ones = np.ones((1, shape[1], shape[2], 1), np.int8)
    inside: Array = extract(ones, window, 0)[0, ..., 0].all(axis=(0, 1))
    return inside


def spread(values: Array, count: int) -> Array:
    """Values of channels for the ``count`` values that a row of several pixels has."""
    return np.tile(values, count // values.size)


def _full(count: int) -> Range:
    return Range(np.full(count, INT8_MIN, np.int64), np.full(count, INT8_MAX, np.int64))


def _node_ranges(node: Node, graph: Graph, ranges: Ranges) -> Sequence[Range]:
    full = [_full(channels(graph, name)) for name in node.outputs]
    if not is_plain(node, graph):
        return full
    if node.op in _SUMS:
        if node.op == "fully_connected" and not sums_channels(node, graph):
            return full
        return [_rescaled(node, graph, ranges)]
    if node.op in _MONOTONIC:
        return [_corners(node, graph, ranges)]
    if operator(node.op).is_elementwise and len(node.inputs) == 1:
        return [_looked_up(node, graph, ranges[node.inputs[0]])]
    if node.op in _CARRIED and _keeps_channels(node, graph):
        params = operator(node.op).lower(node, graph, Dialect.TFLM)
        return [_CARRIED[node.op](params, ranges[node.inputs[0]])]
    if node.op in _MOVES:
        return _moved(node, graph, ranges)
    return full


# --- weighted sums ----------------------------------------------------------------------------


def _rescaled(node: Node, graph: Graph, ranges: Ranges) -> Range:
    p = operator(node.op).lower(node, graph, Dialect.TFLM)
    limits = (p.output_zero_point, p.activation_min, p.activation_max)
    bounds = accumulator_range(node, graph, ranges)
    low, high = (requantize(acc, p.multiplier, p.shift, *limits) for acc in bounds)
    return Range(low.astype(np.int64), high.astype(np.int64))


def _extremes(weights: Array, low: Array, high: Array) -> tuple[Array, Array]:
    """Bounds of ``weights @ x`` for low <= x <= high; float64 holds such sums exactly."""
    positive = np.maximum(weights, 0).astype(np.float64)
    negative = np.minimum(weights, 0).astype(np.float64)
    smallest, largest = positive @ low + negative @ high, positive @ high + negative @ low
    return smallest.astype(np.int64), largest.astype(np.int64)


def _taps(node: Node, graph: Graph, p: ConvolutionParams, x: Range) -> Range:
    """Bounds of what each tap reads (KH, KW, C), padding included, which is the zero point."""
    inside = taps_inside(node, graph)[..., None]
    zero = p.input_zero_point
    return Range(
        np.where(inside, x.low, np.minimum(x.low, zero)),
        np.where(inside, x.high, np.maximum(x.high, zero)),
    )


def _conv2d(node: Node, graph: Graph, p: Any, x: Range) -> Range:
    taps = _taps(node, graph, p, x)
    bounds = [
        _extremes(filters.reshape(len(filters), -1), low.reshape(-1), high.reshape(-1))
        for filters, low, high in zip(
            np.split(p.weights, p.groups),
            np.split(taps.low, p.groups, axis=-1),
            np.split(taps.high, p.groups, axis=-1),
            strict=True,
        )
    ]
    low, high = (np.concatenate(side) for side in zip(*bounds, strict=True))
    return Range(low + p.bias, high + p.bias)


def _depthwise_conv2d(node: Node, graph: Graph, p: Any, x: Range) -> Range:
    taps = _taps(node, graph, p, x)
    weights = p.weights[0].astype(np.int64)
    low, high = (np.repeat(side, weights.shape[-1] // x.low.size, axis=-1) for side in taps)
    products = (weights * low, weights * high)
    smallest, largest = np.minimum(*products), np.maximum(*products)
    return Range(smallest.sum(axis=(0, 1)) + p.bias, largest.sum(axis=(0, 1)) + p.bias)


def _fully_connected(node: Node, graph: Graph, p: Any, x: Range) -> Range:
    weights = p.weights.astype(np.int64) - weights_zero_point(graph, node)
    low, high = (spread(side, weights.shape[1]) for side in x)
    smallest, largest = _extremes(weights, low, high)
    return Range(smallest + p.bias, largest + p.bias)


_SUMS: dict[str, Callable[[Node, Graph, Any, Range], Range]] = {
    "conv2d": _conv2d,
    "depthwise_conv2d": _depthwise_conv2d,
    "fully_connected": _fully_connected,
}


# --- elementwise operators --------------------------------------------------------------------


def _looked_up(node: Node, graph: Graph, x: Range) -> Range:
    """All values of an operator of one input, found by trying all inputs."""
    meaning = operator(node.op)
    codes = CODES.astype(np.int8)[None]
    (table,) = meaning.evaluate_int(meaning.lower(node, graph, Dialect.TFLM), [codes])
    table = table[0].astype(np.int64)
    reached = (x.low[:, None] <= CODES) & (x.high[:, None] >= CODES)
    return Range(
        np.where(reached, table, INT8_MAX).min(axis=1),
        np.where(reached, table, INT8_MIN).max(axis=1),
    )


#: Operators of two operands that are monotonic in each of them while the other stays: their
#: extremes are at the corners.
_MONOTONIC = ("add", "maximum", "minimum", "mul", "sub")


def _corners(node: Node, graph: Graph, ranges: Ranges) -> Range:
    meaning = operator(node.op)
    params = meaning.lower(node, graph, Dialect.TFLM)
    params = dataclasses.replace(params, constants=(None, None))
    first, second = (_operand(graph, name, ranges) for name in node.inputs)
    count = channels(graph, node.output)
    corners = np.stack(
        [
            np.broadcast_to(
                meaning.evaluate_int(params, [a.astype(np.int8), b.astype(np.int8)])[0], (count,)
            )
            for a in first
            for b in second
        ]
    ).astype(np.int64)
    return Range(corners.min(axis=0), corners.max(axis=0))


def _operand(graph: Graph, name: str, ranges: Ranges) -> Range:
    data = graph.constant(name)
    if data is None:
        return ranges[name]
    rows = data.reshape(-1, channels(graph, name)).astype(np.int64)
    return Range(rows.min(axis=0), rows.max(axis=0))


# --- operators that keep each channel to itself -----------------------------------------------


def _keeps_channels(node: Node, graph: Graph) -> bool:
    return links(node, graph).outputs[0] is not None


def _clamped(p: Any, x: Range) -> Range:
    """Pooling: a mean and a maximum lie between what they are made of."""
    low, high = (np.clip(side, p.activation_min, p.activation_max) for side in x)
    return Range(low, high)


def _totalled(p: Any, x: Range) -> Range:
    """Mean and sum."""
    low, high = (
        requantize(
            p.count * (side - p.input_zero_point), p.multiplier, p.shift, p.output_zero_point
        ).astype(np.int64)
        for side in x
    )
    return Range(low, high)


def _padded(p: Any, x: Range) -> Range:
    if not any(map(any, p.paddings)):
        return x
    return Range(np.minimum(x.low, p.value), np.maximum(x.high, p.value))


def _unchanged(p: Any, x: Range) -> Range:
    return x


_CARRIED: dict[str, Callable[[Any, Range], Range]] = {
    "average_pool2d": _clamped,
    "max_pool2d": _clamped,
    "mean": _totalled,
    "mirror_pad": _unchanged,
    "pad": _padded,
    "reduce_max": _unchanged,
    "reduce_min": _unchanged,
    "resize_nearest": _unchanged,
    "slice": _unchanged,
    "sum": _totalled,
    "transpose": _unchanged,
}


# --- operators that only move channels --------------------------------------------------------

_MOVES = ("concat", "reshape", "split")


def _moved(node: Node, graph: Graph, ranges: Ranges) -> Sequence[Range]:
    """An output channel takes what the input channels with its label take."""
    linked = links(node, graph)
    known = [label for label in (*linked.inputs, *linked.outputs) if label is not None]
    if len(known) < len(node.inputs) + len(node.outputs):
        return [_full(channels(graph, name)) for name in node.outputs]
    count = 1 + max(int(label.max()) for label in known)
    low, high = np.full(count, INT8_MAX), np.full(count, INT8_MIN)
    inputs, outputs = known[: len(node.inputs)], known[len(node.inputs) :]
    for name, label in zip(node.inputs, inputs, strict=True):
        x = _operand(graph, name, ranges)
        np.minimum.at(low, label, x.low)
        np.maximum.at(high, label, x.high)
    return [Range(low[label], high[label]) for label in outputs]
