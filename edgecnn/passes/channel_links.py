"""Which channels of a node's inputs and outputs stand or fall together.

Channels are the indices of a tensor's last axis.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgecnn.ir import FLOAT32, INT8, Array, Graph, Node
from edgecnn.operators import operator

#: A number for each channel of a tensor; equal numbers stand for one removable thing.
Labels = Array


def channels(graph: Graph, name: str) -> int:
    """Number of channels of a tensor: the length of its last axis; 1 for a scalar."""
    shape = graph.tensors[name].shape
    return shape[-1] if shape else 1


@dataclass(frozen=True)
class Links:
    """Labels of the channels of each input and output of a node, by position.

    Where a channel with some label goes, every channel with that label goes, constants
    included. None stands for a tensor of which nothing can go.
    """

    inputs: tuple[Labels | None, ...]
    outputs: tuple[Labels | None, ...]


def sums_channels(node: Node, graph: Graph) -> bool:
    """Whether every output channel is a weighted sum over all input channels.

    Inputs and outputs of such a node (convolution, fully connected) can be cut independently.
    """
    if node.op not in ("conv2d", "fully_connected") or not is_plain(node, graph):
        return False
    if node.op == "conv2d":
        return attributes(node).groups == 1
    columns = graph.tensors[node.inputs[1]].shape[1]
    return columns % channels(graph, node.inputs[0]) == 0


def is_plain(node: Node, graph: Graph) -> bool:
    """Whether a node computes as its operator says, without overflow, all in int8 or in float."""
    meaning = operator(node.op)
    if graph.is_wide(node):
        return False
    if meaning.weights_axis is not None and not _of_one_type(node.inputs[:2], graph):
        return False
    return meaning.unsupported(node, graph) is None


def _of_one_type(names: tuple[str, ...], graph: Graph) -> bool:
    """Whether tensors are all int8, or all float."""
    types = {graph.tensors[name].dtype for name in names}
    return types in ({INT8}, {FLOAT32})


def links(node: Node, graph: Graph) -> Links:
    """The links of a node that is none of `sums_channels`."""
    meaning = operator(node.op)
    if is_plain(node, graph):
        if node.op in _LINKS:
            return _LINKS[node.op](node, graph)
        if meaning.is_elementwise:
            return _elementwise(node, graph)
        rank = len(graph.tensors[node.inputs[0]].shape)
        if node.op in _CARRIES and _CARRIES[node.op](attributes(node), rank):
            return _same(node, graph)
    return _nothing(node)


def attributes(node: Node) -> Any:
    """The attributes of a node, of whatever class its operator gives them."""
    return node.attributes


def _nothing(node: Node) -> Links:
    return Links((None,) * len(node.inputs), (None,) * len(node.outputs))


def _same(node: Node, graph: Graph) -> Links:
    """Channel c of every output comes of channel c of every input."""
    if len({channels(graph, name) for name in (*node.inputs, *node.outputs)}) != 1:
        return _nothing(node)
    label = np.arange(channels(graph, node.output))
    return Links((label,) * len(node.inputs), (label,) * len(node.outputs))


def _elementwise(node: Node, graph: Graph) -> Links:
    """As `_same`, but for operands that are one value for all channels."""
    label = np.arange(channels(graph, node.output))
    inputs = (label if channels(graph, name) == label.size else None for name in node.inputs)
    return Links(tuple(inputs), (label,))


def _depthwise(node: Node, graph: Graph) -> Links:
    """Channel c makes c * M to c * M + M - 1; weights and biases have their channels last."""
    depth, made = channels(graph, node.inputs[0]), channels(graph, node.output)
    label = np.arange(made) // (made // depth)
    constants = (label if name else None for name in node.inputs[1:])
    return Links((np.arange(depth), *constants), (label,))


def _reshape(node: Node, graph: Graph) -> Links:
    """The value at place i is of channel ``i % C``, before with one C, and after with another."""
    before, after = channels(graph, node.inputs[0]), channels(graph, node.output)
    fewer = min(before, after)
    if fewer == 0 or max(before, after) % fewer:
        return _nothing(node)
    return Links((np.arange(before) % fewer,), (np.arange(after) % fewer,))


def _concat(node: Node, graph: Graph) -> Links:
    if attributes(node).axis != len(graph.tensors[node.output].shape) - 1:
        return _same(node, graph)
    return Links(
        _consecutive(graph, node.inputs), (np.arange(channels(graph, node.output)),)
    )  # fmt: skip


def _split(node: Node, graph: Graph) -> Links:
    if attributes(node).axis != len(graph.tensors[node.output].shape) - 1:
        return _same(node, graph)
    return Links(
        (np.arange(channels(graph, node.inputs[0])),), _consecutive(graph, node.outputs)
    )  # fmt: skip


def _consecutive(graph: Graph, names: tuple[str, ...]) -> tuple[Labels, ...]:
    sizes = [channels(graph, name) for name in names]
    return tuple(np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1]))


_LINKS: dict[str, Callable[[Node, Graph], Links]] = {
    "concat": _concat,
    "depthwise_conv2d": _depthwise,
    "reshape": _reshape,
    "split": _split,
}


def _always(a: Any, rank: int) -> bool:
    return True


def _reduces_others(a: Any, rank: int) -> bool:
    return rank - 1 not in a.axes


def _pads_others(a: Any, rank: int) -> bool:
    return bool(a.paddings[-1] == (0, 0))


#: Operators of one input that keep each channel to itself: with these attributes, at this rank.
_CARRIES: dict[str, Callable[[Any, int], bool]] = {
    "average_pool2d": _always,
    "max_pool2d": _always,
    "mean": _reduces_others,
    "mirror_pad": _pads_others,
    "pad": _pads_others,
    "reduce_max": _reduces_others,
    "reduce_min": _reduces_others,
    "resize_bilinear": _always,
    "resize_nearest": _always,
    "slice": lambda a, rank: a.parts[-1] is None,
    "sum": _reduces_others,
    "transpose": lambda a, rank: bool(a.permutation[-1] == rank - 1),
}
