"""Which channels of an int8 graph its outputs depend on, and which can go.

A channel that nothing needs is dead. The weighted sums decide: an input channel is needed where
some live output channel that varies has a weight on it, unless it is constant and its share of
the sums is the same at every place, so that the bias can hold it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgecnn.accumulate import weights_zero_point
from edgecnn.ir import Array, Graph, Node
from edgecnn.passes.channel_links import Labels, channels, links, sums_channels
from edgecnn.passes.channel_ranges import Ranges, spread, taps_inside

#: A boolean for each channel, by tensor.
Masks = dict[str, Array]


def live_channels(graph: Graph, ranges: Ranges) -> Masks:
    """The channels whose values matter to the outputs, of every activation."""
    live = {name: np.zeros(channels(graph, name), bool) for name in graph.activations()}
    for name in graph.outputs:
        live[name][:] = True
    for node in reversed(graph.nodes):
        if sums_channels(node, graph):
            live[node.inputs[0]] |= _needed(node, graph, ranges, live[node.output])
        else:
            _spread_backwards(node, graph, live)
    return live


def kept_channels(graph: Graph, live: Masks) -> Masks:
    """The channels that stay: the live ones, and those that cannot go alone.

    Operators tie channels of their inputs and outputs together; inputs of the graph stay whole,
    as its outputs do, which are live; and every tensor keeps a channel.
    """
    kept = {name: mask.copy() for name, mask in live.items()}
    for name in graph.inputs:
        kept[name][:] = True
    _tie(graph, kept)
    for name in reversed(graph.activations()):
        if not kept[name].any():
            kept[name][0] = True
            _tie(graph, kept)
    return kept


def column_of_channels(node: Node, graph: Graph, values: Array) -> Array:
    """Values of the input channels of a weighted sum, for each column of its weights."""
    return spread(values, graph.tensors[node.inputs[1]].shape[-1])


def effective_weights(node: Node, graph: Graph) -> Array:
    """Weights less their zero point (int64), as (outputs, taps, columns)."""
    weights = graph.constant(node.inputs[1])
    assert weights is not None
    whole = weights.astype(np.int64) - weights_zero_point(graph, node)
    return whole.reshape(len(whole), -1, whole.shape[-1])


def foldable(node: Node, graph: Graph, ranges: Ranges, rows: Array) -> Array:
    """Which columns of a weighted sum are constant and add the same at every place.

    ``rows`` are the output channels that are looked at. Padding counts as the zero point, so a
    column with another value must have no weights where the window touches padding.
    """
    low, constant = (
        column_of_channels(node, graph, values)
        for values in (ranges[node.inputs[0]].low, ranges[node.inputs[0]].constant)
    )
    if node.op != "conv2d":
        return constant
    outside = ~taps_inside(node, graph).reshape(-1)
    touches = effective_weights(node, graph)[rows][:, outside].any(axis=(0, 1))
    at_zero_point = low == graph.tensors[node.inputs[0]].zero_point
    result: Array = constant & (at_zero_point | ~touches)
    return result


def varying_rows(node: Node, ranges: Ranges, live: Masks) -> Array:
    """The output channels of a weighted sum that have to be computed from the inputs."""
    rows: Array = live[node.output] & ~ranges[node.output].constant
    return rows


def _needed(node: Node, graph: Graph, ranges: Ranges, live: Array) -> Array:
    """The input channels that a weighted sum needs."""
    rows = live & ~ranges[node.output].constant
    used = effective_weights(node, graph)[rows].any(axis=(0, 1))
    columns = used & ~foldable(node, graph, ranges, rows)
    needed: Array = columns.reshape(-1, channels(graph, node.inputs[0])).any(axis=0)
    return needed


def _spread_backwards(node: Node, graph: Graph, live: Masks) -> None:
    """Mark the input channels that the live output channels of a linked node are made of."""
    linked = links(node, graph)
    any_live = any(live[name].any() for name in node.outputs)
    marked = _marked(linked.outputs, [live[name] for name in node.outputs])
    for name, label in zip(node.inputs, linked.inputs, strict=True):
        if name in live:
            live[name] |= any_live if label is None else marked[label]


def _marked(labels: Sequence[Labels | None], masks: Sequence[Array]) -> Array:
    """Which labels stand on a channel that is in its mask."""
    known = [(label, mask) for label, mask in zip(labels, masks, strict=True) if label is not None]
    marked = np.zeros(1 + max((int(label.max()) for label, _ in known), default=0), bool)
    for label, mask in known:
        marked[label[mask]] = True
    return marked


def _tie(graph: Graph, kept: Masks) -> None:
    """Grow the masks until no node has a channel that goes without those tied to it."""
    linked = [(n, links(n, graph)) for n in graph.nodes if not sums_channels(n, graph)]
    grown = True
    while grown:
        grown = False
        for node, (inputs, outputs) in ((n, (link.inputs, link.outputs)) for n, link in linked):
            ports = [
                (kept[name], label)
                for name, label in zip(
                    (*node.inputs, *node.outputs), (*inputs, *outputs), strict=True
                )
                if name in kept
            ]
            marked = _marked([label for _, label in ports], [mask for mask, _ in ports])
            for mask, label in ports:
                whole = np.ones(mask.size, bool) if label is None else marked[label]
                grown |= bool((whole & ~mask).any())
                mask |= whole
