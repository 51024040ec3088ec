"""Lets a neighbouring layer compute, or read, channels in another order.

Pixel shuffle and channel shuffle leave a reshape, a transpose and a reshape that only move values
within the channels of each pixel. The filters of the layer before can have that order instead, or
the weights of the layer behind.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgecnn.ir import Array, Graph, Node, prune
from edgecnn.operators import operator
from edgecnn.passes.editing import feeds_only, own_constant

_MOVES = ("reshape", "transpose")
#: Operators with all input channels along the last axis of the weights, output channels along
#: `Operator.weights_axis`.
_LAYERS = ("conv2d", "fully_connected", "transpose_conv2d")


@dataclass(frozen=True, eq=False)
class _Reordering:
    """Moves after which channel i is channel ``order[i]`` of the tensor before them."""

    chain: tuple[Node, ...]
    order: Array

    @property
    def source(self) -> str:
        return self.chain[0].inputs[0]

    @property
    def result(self) -> str:
        return self.chain[-1].output


def fold_channel_orders(graph: Graph) -> Graph:
    """Return an equal graph without moves that a layer can take over. Float graphs only."""
    if graph.is_quantized:
        return graph
    while True:
        folded = next(filter(None, (_fold(graph, found) for found in _reorderings(graph))), None)
        if folded is None:
            return graph
        graph = folded


def _reorderings(graph: Graph) -> Iterator[_Reordering]:
    consumers = graph.consumers()
    for first in graph.nodes:
        if first.op not in _MOVES:
            continue
        shape = graph.tensors[first.inputs[0]].shape
        places = np.arange(int(np.prod(shape))).reshape(shape)
        chain, node = [], first
        while node.op in _MOVES:
            (places,) = operator(node.op).evaluate_float(node.attributes, [places])
            chain.append(node)
            order = _order(places, shape[-1]) if places.shape == shape else None
            if order is not None:
                yield _Reordering(tuple(chain), order)
            readers = consumers[node.output]
            if len(readers) != 1 or not feeds_only(graph, node.output, readers[0], consumers):
                break
            node = readers[0]


def _order(places: Array, depth: int) -> Array | None:
    """The order of channels that moved places come to; None where more has moved."""
    rows = places.reshape(-1, depth)
    order = rows[0]
    starts = np.arange(len(rows))[:, None] * depth
    return order if order.max() < depth and np.array_equal(rows, starts + order) else None


def _is_layer(graph: Graph, node: Node | None) -> bool:
    if node is None or node.op not in _LAYERS or getattr(node.attributes, "groups", 1) != 1:
        return False
    return all(not name or not graph.is_activation(name) for name in node.inputs[1:])


def _fold(graph: Graph, found: _Reordering) -> Graph | None:
    consumers = graph.consumers()
    before, readers = graph.producers().get(found.source), consumers[found.result]
    alone = feeds_only(graph, found.source, found.chain[0], consumers)
    if before is not None and alone and _is_layer(graph, before):
        axis = operator(before.op).weights_axis
        turned = _turned(graph, before, {1: axis or 0, 2: 0}, found.order)
        return _without(graph, found, before, turned, outputs=(found.result,))
    behind = readers[0] if len(readers) == 1 and found.result not in graph.outputs else None
    if behind is not None and _is_layer(graph, behind) and _same_depth(graph, found, behind):
        turned = _turned(graph, behind, {1: -1}, np.argsort(found.order))
        return _without(graph, found, behind, turned, source=found.source)
    return None


def _same_depth(graph: Graph, found: _Reordering, reader: Node) -> bool:
    return graph.tensors[reader.inputs[1]].shape[-1] == len(found.order)


def _turned(graph: Graph, layer: Node, axes: dict[int, int], order: Array) -> dict[int, Array]:
    """The constants of a layer, by position, in another order along some axis."""
    names = {position: (*layer.inputs, "", "")[position] for position in axes}
    data = {position: graph.constant(name) for position, name in names.items()}
    return {
        position: np.take(array, order, axis=axes[position])
        for position, array in data.items()
        if array is not None
    }


def _without(
    graph: Graph,
    found: _Reordering,
    layer: Node,
    constants: dict[int, Array],
    *,
    source: str = "",
    outputs: tuple[str, ...] = (),
) -> Graph:
    """The graph without the moves, where the layer has other constants and one other end."""
    tensors, consumers = dict(graph.tensors), graph.consumers()
    names = list(layer.inputs)
    names[0] = source or names[0]
    for position, data in constants.items():
        names[position] = own_constant(tensors, names[position], data, consumers[names[position]])
    turned = dataclasses.replace(layer, inputs=tuple(names), outputs=outputs or layer.outputs)
    gone = {node.output for node in found.chain}
    kept = [n for n in graph.nodes if n.op not in _MOVES or n.output not in gone]
    nodes = tuple(turned if node is layer else node for node in kept)
    return prune(graph.replace(nodes=nodes, tensors=tensors))
