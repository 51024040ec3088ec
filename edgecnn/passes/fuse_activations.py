"""Lets the layer before a ReLU or ReLU6 clamp its output itself."""

from __future__ import annotations

import dataclasses
from typing import Any

from edgecnn.ir import Graph, Node, prune
from edgecnn.operators import operator
from edgecnn.passes.editing import feeds_only

_ACTIVATIONS = ("relu", "relu6")


def fuse_activations(graph: Graph) -> Graph:
    """Return an equal graph with activations fused; the tensor keeps the activation's name.

    Float graphs only: in an int8 graph the layer and the activation each have a scale, and the
    layer rounds to its own first.
    """
    if graph.is_quantized:
        return graph
    consumers = graph.consumers()
    fused: dict[str, Node] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        before = fused.get(node.inputs[0]) if node.op in _ACTIVATIONS else None
        if before is not None and feeds_only(graph, before.output, node, consumers):
            clamping: Any = before.attributes
            node = dataclasses.replace(
                before,
                outputs=node.outputs,
                attributes=dataclasses.replace(clamping, activation=node.op),
            )
            nodes = [n for n in nodes if n is not before]
        elif _can_clamp(node):
            fused[node.output] = node
        nodes.append(node)
    return prune(graph.replace(nodes=tuple(nodes)))


def _can_clamp(node: Node) -> bool:
    fuses = operator(node.op).fuses_activation
    return fuses and getattr(node.attributes, "activation", "") == "none"
