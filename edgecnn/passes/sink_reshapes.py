"""Moves reshapes below the elementwise operators that read them.

A network on sequences reshapes them to images for each of its layers; between those, an activation
or a sum keeps two reshapes apart that would cancel. Values do not change.
"""

from __future__ import annotations

import dataclasses

from edgecnn.ir import Graph, Node, Tensor, prune
from edgecnn.operators import operator
from edgecnn.ops.reshape import ReshapeAttributes
from edgecnn.passes.editing import same_quant, unique_name


def sink_reshapes(graph: Graph) -> Graph:
    """Return an equal graph where elementwise operators come before reshapes."""
    sources: dict[str, str] = {}
    tensors, nodes = dict(graph.tensors), []
    for node in graph.nodes:
        if node.op == "reshape" and same_quant(graph, node):
            sources[node.output] = sources.get(node.inputs[0], node.inputs[0])
        inner = _inputs(graph, tensors, sources, node)
        if inner is None:
            nodes.append(node)
            continue
        output = graph.tensors[node.output]
        shape = tensors[inner[0]].shape
        name = unique_name(tensors, f"{output.name}_inner")
        tensors[name] = Tensor(name, shape, output.dtype, None, output.quant)
        nodes.append(dataclasses.replace(node, inputs=inner, outputs=(name,)))
        nodes.append(Node("reshape", (name,), node.outputs, ReshapeAttributes(output.shape)))
        sources[node.output] = name
    return prune(graph.replace(nodes=tuple(nodes), tensors=tensors))


def _inputs(
    graph: Graph, tensors: dict[str, Tensor], sources: dict[str, str], node: Node
) -> tuple[str, ...] | None:
    """What an elementwise node would read before the reshapes; None where it must stay."""
    if not operator(node.op).is_elementwise or len(node.outputs) != 1:
        return None
    constants = [name for name in node.inputs if name and not graph.is_activation(name)]
    if any(graph.tensors[name].size > 1 for name in constants):
        return None
    activations = graph.activation_inputs(node)
    whole = {graph.tensors[name].shape for name in (*activations, node.output)}
    inner = [sources.get(name) for name in activations]
    shapes = {tensors[name].shape for name in inner if name is not None}
    if not inner or None in inner or len(whole) != 1 or len(shapes) != 1:
        return None
    if any(len(graph.tensors[name].shape) > len(*shapes) for name in constants):
        return None  # it would give the result more axes
    return tuple(sources.get(name, name) for name in node.inputs)
