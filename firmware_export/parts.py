"""Some nodes of a graph by themselves, on images of other sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from edgecnn.ir import Graph, Node, Shape


def shape_of(graph: Graph, name: str, shapes: Mapping[str, Shape]) -> Shape:
    """Shape of a tensor, of those given or its own; () for an absent one."""
    return shapes.get(name) or (graph.tensors[name].shape if name else ())


def alone(graph: Graph, nodes: Sequence[Node], shapes: Mapping[str, Shape]) -> Graph:
    """A graph of some nodes, with other shapes for some of its tensors."""
    computed = [name for node in nodes for name in node.outputs]
    taken = dict.fromkeys(n for node in nodes for n in node.inputs if n and n not in computed)
    tensors = {
        name: replace(graph.tensors[name], shape=shape_of(graph, name, shapes))
        for name in (*taken, *computed)
    }
    inputs = tuple(name for name in taken if graph.is_activation(name))
    return Graph(graph.name, tuple(nodes), tensors, inputs, nodes[-1].outputs)
