"""Multiply-accumulates of a graph and of its layers."""

from __future__ import annotations

from edgecnn.ir import Graph, Node
from edgecnn.operators import operator


def macs_of(graph: Graph, node: Node) -> int:
    """Multiply-accumulates of one node in one inference."""
    inputs = [graph.tensors[name].shape if name else () for name in node.inputs]
    outputs = [graph.tensors[name].shape for name in node.outputs]
    return operator(node.op).macs(node.attributes, inputs, outputs)


def total_macs(graph: Graph) -> int:
    """Multiply-accumulates of one inference."""
    return sum(macs_of(graph, node) for node in graph.nodes)
