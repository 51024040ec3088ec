"""Lets slices read what they need, not the whole that it was put into.

Recurrent layers make it common: the last state of a sequence, of one layer out of several.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from edgecnn.ir import Graph, Node, Tensor, prune
from edgecnn.ops.lstm import LstmAttributes
from edgecnn.ops.reshape import ReshapeAttributes
from edgecnn.passes.editing import feeds_only, unique_name


def read_parts(graph: Graph) -> Graph:
    """Return an equal graph where no slice reads one part of a concatenation.

    Where the last step of an LSTM is all that is read, the LSTM gives nothing else.
    """
    producers = graph.producers()
    tensors = dict(graph.tensors)
    nodes: list[Node] = []
    for node in graph.nodes:
        node = _past_concatenations(graph, node, producers)
        nodes += _last_step(graph, node, producers, tensors) or [node]
    return prune(graph.replace(nodes=tuple(nodes), tensors=tensors))


def _only_part(node: Node) -> tuple[int, Any] | None:
    """The axis along which alone a slice takes a part, in steps of 1, and the part."""
    attributes: Any = node.attributes
    taken = [(axis, part) for axis, part in enumerate(attributes.parts) if part is not None]
    return taken[0] if len(taken) == 1 and taken[0][1].step == 1 else None


def _past_concatenations(graph: Graph, node: Node, producers: dict[str, Node]) -> Node:
    """A slice that reads the input of a concatenation in which all that it takes lies."""
    while node.op == "slice":
        nearer = _past_concatenation(graph, node, producers.get(node.inputs[0]))
        if nearer is None:
            break
        node = nearer
    return node


def _past_concatenation(graph: Graph, node: Node, source: Node | None) -> Node | None:
    taken = _only_part(node)
    if source is None or source.op != "concat" or taken is None:
        return None
    joined: Any = source.attributes
    axis, part = taken
    if joined.axis != axis:
        return None
    start = 0
    for name in source.inputs:
        size = graph.tensors[name].shape[axis]
        begin = part.begin - start
        if begin >= 0 and begin + part.size <= size:
            return _from_input(graph, node, name, axis, begin)
        start += size
    return None


def _from_input(graph: Graph, node: Node, name: str, axis: int, begin: int) -> Node | None:
    """The slice with another source; a reshape where it takes all of it."""
    source, output = graph.tensors[name], graph.tensors[node.output]
    if source.quant != output.quant or source.data is not None:
        return None
    if source.shape == output.shape:
        return Node("reshape", (name,), node.outputs, ReshapeAttributes(output.shape))
    attributes: Any = node.attributes
    parts = list(attributes.parts)
    parts[axis] = dataclasses.replace(parts[axis], begin=begin)
    return Node("slice", (name,), node.outputs, dataclasses.replace(attributes, parts=tuple(parts)))


def _last_step(
    graph: Graph, node: Node, producers: dict[str, Node], tensors: dict[str, Tensor]
) -> list[Node]:
    """An LSTM that gives its last step only, and a reshape; none where that is not all."""
    source = producers.get(node.inputs[0])
    taken = _only_part(node) if node.op == "slice" else None
    if taken is None or source is None or not isinstance(source.attributes, LstmAttributes):
        return []
    whole, output = graph.tensors[source.output], graph.tensors[node.output]
    axis, part = taken
    time = 0 if source.attributes.time_major else 1
    is_last = (axis, part.begin, part.size) == (time, whole.shape[time] - 1, 1)
    alone = feeds_only(graph, whole.name, node, graph.consumers())
    if not (is_last and alone and source.attributes.sequence and whole.quant == output.quant):
        return []
    name = unique_name(tensors, f"{whole.name}_last")
    shape = (whole.shape[1 - time], whole.shape[2])
    tensors[name] = Tensor(name, shape, whole.dtype, None, whole.quant)
    attributes = dataclasses.replace(source.attributes, sequence=False)
    return [
        Node("lstm", source.inputs, (name,), attributes),
        Node("reshape", (name,), node.outputs, ReshapeAttributes(output.shape)),
    ]
