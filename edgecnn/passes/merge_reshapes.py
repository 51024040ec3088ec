"""Drops reshapes that change nothing and joins those that follow one another."""

from __future__ import annotations

import dataclasses

from edgecnn.ir import Graph, Node, prune
from edgecnn.passes.editing import same_quant


def merge_reshapes(graph: Graph) -> Graph:
    """Return an equal graph where no reshape reads a reshape or keeps its input's shape.

    An output of the graph keeps its name: the tensor before a dropped reshape takes it over.
    """
    return _drop_idle(_join(graph))


def _join(graph: Graph) -> Graph:
    """Let every reshape read what the reshape before it reads."""
    origin: dict[str, str] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        if node.op == "reshape" and same_quant(graph, node):
            source = origin.get(node.inputs[0], node.inputs[0])
            origin[node.output] = source
            node = dataclasses.replace(node, inputs=(source,))
        nodes.append(node)
    return prune(graph.replace(nodes=tuple(nodes)))


def _drop_idle(graph: Graph) -> Graph:
    renamed: dict[str, str] = {}
    produced: set[str] = set()
    kept: list[Node] = []
    for node in graph.nodes:
        source = renamed.get(node.inputs[0], node.inputs[0])
        if _is_idle(graph, node):
            if node.output not in graph.outputs:
                renamed[node.output] = source
                continue
            if source in produced and source not in graph.outputs:
                renamed[source] = node.output
                continue
        produced.update(node.outputs)
        kept.append(node)
    final = {name: _resolve(renamed, name) for name in graph.tensors}
    nodes = tuple(
        dataclasses.replace(
            node,
            inputs=tuple(final.get(name, name) for name in node.inputs),
            outputs=tuple(final[name] for name in node.outputs),
        )
        for node in kept
    )
    return prune(graph.replace(nodes=nodes))


def _is_idle(graph: Graph, node: Node) -> bool:
    if node.op != "reshape" or not same_quant(graph, node):
        return False
    return graph.tensors[node.inputs[0]].shape == graph.tensors[node.output].shape


def _resolve(renamed: dict[str, str], name: str) -> str:
    while name in renamed:
        name = renamed[name]
    return name
