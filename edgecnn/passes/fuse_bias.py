"""Lets convolutions and fully connected layers add a constant for each output channel."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from edgecnn.ir import Array, Graph, Node, Tensor, prune
from edgecnn.operators import operator
from edgecnn.passes.editing import feeds_only, own_constant

_LINEAR = ("conv2d", "depthwise_conv2d", "fully_connected")


def fuse_bias(graph: Graph) -> Graph:
    """Return an equal graph where such a sum is the layer's bias; its output takes the name.

    Float graphs only: in an int8 graph the layer rounds to its own scale first.
    """
    if graph.is_quantized:
        return graph
    for node in graph.nodes:
        if node.op == "add":
            graph = _fused(graph, node)
    return graph


def _fused(graph: Graph, node: Node) -> Graph:
    activations = graph.activation_inputs(node)
    layer = graph.producers().get(activations[0]) if len(activations) == 1 else None
    if layer is None or layer.op not in _LINEAR:
        return graph
    target: Any = layer.attributes
    constant = graph.tensors[next(name for name in node.inputs if name not in activations)]
    vector = _per_channel(graph, layer, node, constant)
    bias_name = (*layer.inputs, "")[2]
    bias = graph.constant(bias_name)
    apart = target.activation == "none" and feeds_only(graph, layer.output, node, graph.consumers())
    if vector is None or not apart or (bias_name and bias is None):
        return graph
    tensors, readers = dict(graph.tensors), graph.consumers()[constant.name]
    total = vector if bias is None else vector.astype(np.float64) + bias
    name = own_constant(tensors, constant.name, total, readers)
    sum_: Any = node.attributes
    joined = Node(
        layer.op,
        (*layer.inputs[:2], name),
        node.outputs,
        dataclasses.replace(target, activation=sum_.activation),
    )
    nodes = tuple(joined if n is node else n for n in graph.nodes if n is not layer)
    return prune(graph.replace(nodes=nodes, tensors=tensors))


def _per_channel(graph: Graph, layer: Node, node: Node, constant: Tensor) -> Array | None:
    """The constant as one value for each output channel, or None where it is something else."""
    axis, data = operator(layer.op).weights_axis, constant.data
    assert axis is not None
    assert data is not None
    channels = graph.tensors[layer.inputs[1]].shape[axis]
    same_shape = graph.tensors[layer.output].shape == graph.tensors[node.output].shape
    if constant.quant is not None or not same_shape:
        return None
    if data.size != 1 and (data.size != channels or data.shape[-1] != channels):
        return None
    return np.broadcast_to(data.reshape(-1), (channels,))
