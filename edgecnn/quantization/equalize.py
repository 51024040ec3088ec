"""Cross-layer equalization: channels of very different ranges are brought nearer to each other.

A channel may be divided by any positive factor where all that computes it can be divided, and all
that reads it can be multiplied, and nothing in between minds: ReLU, pooling, moves and sums of
channels that get the same factor do not. The float network stays the same function, but a tensor
whose channels differ by a factor of a thousand needs ten bits more than one whose channels do not.
Source: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction"
(2019), section 4.1, which equalizes the weights of both layers; here, where weights have a scale
for each output channel, it is the range of the activation that the weights which read it are set
against, as in Xiao et al., "SmoothQuant" (2023), equation 4.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgecnn.ir import Array, Graph, Node, Tensor
from edgecnn.operators import operator
from edgecnn.passes.channel_links import attributes, channels, links, sums_channels
from edgecnn.passes.editing import unique_name
from edgecnn.simulator import chunks, run_float

#: Activations that a layer may end in.
_LINEAR = frozenset(("none", "relu"))


@dataclass(frozen=True)
class Islands:
    """Which channels must have one factor.

    ``labels[tensor]`` has a number for each channel; channels with equal numbers go together.
    ``pinned`` are the numbers whose channels stay as they are.
    """

    labels: Mapping[str, Array]
    pinned: frozenset[int]


class _Union:
    """Disjoint sets of numbers."""

    def __init__(self) -> None:
        self.parents: list[int] = []

    def new(self, count: int) -> Array:
        first = len(self.parents)
        self.parents += range(first, first + count)
        return np.arange(first, first + count)

    def find(self, number: int) -> int:
        while self.parents[number] != number:
            self.parents[number] = self.parents[self.parents[number]]
            number = self.parents[number]
        return number

    def join(self, first: int, second: int) -> None:
        low, high = sorted((self.find(first), self.find(second)))
        self.parents[high] = low


def islands(graph: Graph) -> Islands:
    """The channels of a float graph that must keep one factor, and those that must stay."""
    sets = _Union()
    own = {name: sets.new(channels(graph, name)) for name in graph.tensors}
    pinned: set[int] = set()
    for name in (*graph.inputs, *graph.outputs):
        pinned.update(own[name].tolist())
    for node in graph.nodes:
        for name in _pinned(node, graph):
            pinned.update(own[name].tolist())
        for group in _joined(node, graph, own):
            for number in group[1:]:
                sets.join(group[0], number)
    labels = {name: np.array([sets.find(i) for i in numbers]) for name, numbers in own.items()}
    return Islands(labels, frozenset(sets.find(i) for i in pinned))


def _scales(node: Node, graph: Graph) -> bool:
    """Whether a layer's weights can take factors of its channels."""
    return sums_channels(node, graph) or (
        node.op == "depthwise_conv2d" and links(node, graph).outputs[0] is not None
    )


def _is_linear(node: Node) -> bool:
    return getattr(attributes(node), "activation", "none") in _LINEAR


def _tied(node: Node, graph: Graph) -> list[tuple[str, Array]] | None:
    """Tensors whose channels a node ties together, with their labels; None where it scales none."""
    if not operator(node.op).is_homogeneous(node.attributes) or not _is_linear(node):
        return None
    found = links(node, graph)
    names = (*node.inputs, *node.outputs)
    pairs = [
        (name, labels)
        for name, labels in zip(names, (*found.inputs, *found.outputs), strict=True)
        if name and not (name in node.inputs and _is_slope(node, graph, name))
    ]
    shared = [name for name, _ in pairs if not graph.is_activation(name)]
    if any(len(graph.consumers()[name]) > 1 for name in shared):
        return None
    tied = [(name, labels) for name, labels in pairs if labels is not None]
    return tied if len(tied) == len(pairs) else None


def _is_slope(node: Node, graph: Graph, name: str) -> bool:
    """Whether an operand multiplies, so that what it multiplies can be scaled without it."""
    return node.op == "prelu" and not graph.is_activation(name)


def _pinned(node: Node, graph: Graph) -> list[str]:
    """Tensors of a node whose channels cannot be scaled because of it."""
    if _scales(node, graph):
        return [] if _is_linear(node) else [node.output]
    if _tied(node, graph) is not None:
        return []
    return [name for name in (*node.inputs, *node.outputs) if name]


def _joined(node: Node, graph: Graph, own: Mapping[str, Array]) -> Iterable[list[int]]:
    """Numbers of channels that a node ties together."""
    groups: dict[int, list[int]] = {}
    for name, labels in () if _scales(node, graph) else _tied(node, graph) or ():
        for number, label in zip(own[name].tolist(), labels.tolist(), strict=True):
            groups.setdefault(label, []).append(number)
    return groups.values()


def channel_peaks(graph: Graph, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """The largest magnitude of each channel of each activation: float64, (channels,)."""
    count = len(next(iter(feeds.values())))
    peaks: dict[str, Array] = {}
    for part in chunks(count, graph):
        values = run_float(graph, {name: array[part] for name, array in feeds.items()})
        for name in graph.activations():
            by_channel = np.abs(values[name]).reshape(-1, channels(graph, name))
            largest = by_channel.max(axis=0).astype(np.float64)
            peaks[name] = np.maximum(peaks.get(name, 0.0), largest)
    return peaks


@dataclass(frozen=True)
class Spread:
    """How much of its tensor's range each channel takes, and of its readers' weights.

    Both from 0 to 1, by the number of the channel; the largest of the tensors, of the readers.
    """

    ranges: Mapping[int, float]
    weights: Mapping[int, float]

    def factors(self, alpha: float) -> dict[int, float]:
        """What each channel is divided by: ``range**alpha / weight**(1 - alpha)``."""
        return {
            number: share**alpha / self.weights[number] ** (1 - alpha)
            for number, share in self.ranges.items()
            if self.weights.get(number, 0.0) > 0.0 and share > 0.0
        }

    def gain(self, groups: Iterable[Array]) -> float:
        """How many times less the noise could get, of the tensor that gains most.

        Noise of int8 activations and of int8 weights in a layer's sums, with u the shares of
        ranges and v those of weights, is in proportion to
        ``max(u)**2 * sum(v**2) + max(v)**2 * sum(u**2)``; u * v is what equalization keeps, and
        with both equal to its root it is ``2 * max(u * v) * sum(u * v)``.
        """
        best = 1.0
        for group in groups:
            u = np.array([self.ranges.get(i, 0.0) for i in group.tolist()])
            v = np.array([self.weights.get(i, 0.0) for i in group.tolist()])
            product = u * v
            if product.max(initial=0.0) <= 0.0:
                continue
            now = u.max() ** 2 * np.square(v).sum() + v.max() ** 2 * np.square(u).sum()
            best = max(best, float(now / (2 * product.max() * product.sum())))
        return best


def spread(graph: Graph, found: Islands, peaks: Mapping[str, Array]) -> Spread:
    """The spread of all channels that are free to be scaled."""
    ranges: dict[int, float] = {}
    for name in graph.activations():
        _raise(ranges, found, name, peaks[name])
    weights: dict[int, float] = {}
    for node in graph.nodes:
        if _scales(node, graph):
            _raise(weights, found, node.inputs[0], _weight_peaks(node, graph))
    return Spread(ranges, weights)


def _raise(shares: dict[int, float], found: Islands, name: str, peaks: Array) -> None:
    largest = peaks.max(initial=0.0)
    if largest <= 0.0:
        return
    for number, peak in zip(found.labels[name].tolist(), peaks.tolist(), strict=True):
        if number not in found.pinned:
            shares[number] = max(shares.get(number, 0.0), peak / largest)


def _weight_peaks(node: Node, graph: Graph) -> Array:
    """The largest share that each input channel has of the weights of an output channel."""
    weights = np.abs(_constant(graph, node.inputs[1]))
    count = channels(graph, node.inputs[0])
    if node.op == "depthwise_conv2d":
        peaks: Array = weights.reshape(-1, count, weights.shape[3] // count).max(axis=(0, 2))
        return peaks
    by_input = weights.reshape(len(weights), -1, count).max(axis=1)
    rows = by_input.max(axis=1, keepdims=True)
    shares: Array = (by_input / np.where(rows > 0, rows, 1.0)).max(axis=0)
    return shares


def _constant(graph: Graph, name: str) -> Array:
    data = graph.constant(name)
    assert data is not None
    return data.astype(np.float64)


def rescaled(graph: Graph, found: Islands, factors: Mapping[int, float]) -> Graph:
    """The same function, with channels divided by their factors."""

    def of(name: str) -> Array:
        return np.array([factors.get(i, 1.0) for i in found.labels[name].tolist()])

    tensors = dict(graph.tensors)
    readers = graph.consumers()
    nodes = []
    for node in graph.nodes:
        changed: dict[int, Array] = {}
        if _scales(node, graph):
            changed = _scaled_weights(node, graph, of(node.inputs[0]), of(node.output))
        elif _tied(node, graph) is not None:
            changed = {
                i: _constant(graph, name) / of(name)
                for i, name in enumerate(node.inputs)
                if name and not graph.is_activation(name) and not _is_slope(node, graph, name)
            }
        names = list(node.inputs)
        for position, data in changed.items():
            base = names[position]
            name = base if len(readers[base]) == 1 else unique_name(tensors, base)
            tensors[name] = Tensor(name, data.shape, data=data.astype(np.float32))
            names[position] = name
        nodes.append(replace(node, inputs=tuple(names)))
    return graph.replace(nodes=tuple(nodes), tensors=tensors)


def _scaled_weights(node: Node, graph: Graph, read: Array, made: Array) -> dict[int, Array]:
    """Weights and bias of a layer that reads and makes scaled channels, by position."""
    weights = _constant(graph, node.inputs[1])
    if node.op == "depthwise_conv2d":
        scaled = weights * np.repeat(read, weights.shape[3] // len(read)) / made
    else:
        by_input = weights.reshape(len(weights), -1, len(read)) * read
        scaled = (by_input / made[:, None, None]).reshape(weights.shape)
    changed: dict[int, Any] = {1: scaled}
    if len(node.inputs) > 2 and node.inputs[2]:
        bias = _constant(graph, node.inputs[2])
        changed[2] = bias / made.reshape(bias.shape)
    return changed
