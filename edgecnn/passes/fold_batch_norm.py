"""Folds batch normalization into the layer before it, or makes it a depthwise 1x1 convolution.

``(x * w + b) * scale + offset = x * (w * scale) + (b * scale + offset)``, for each channel.
Only float graphs hold batch normalization.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from edgecnn.ir import Array, Graph, Node, Tensor, prune
from edgecnn.operators import operator
from edgecnn.ops.batch_norm import BatchNormAttributes, scale_and_offset
from edgecnn.ops.depthwise_conv2d import DepthwiseConv2DAttributes
from edgecnn.ops.reshape import ReshapeAttributes
from edgecnn.passes.editing import feeds_only, own_constant, unique_name

#: Operators that sum weighted inputs; `Operator.weights_axis` is their output channel.
_LINEAR = ("conv2d", "depthwise_conv2d", "fully_connected", "transpose_conv2d")


def fold_batch_norm(graph: Graph) -> Graph:
    """Return an equal graph without ``batch_norm``. Computes in float64, stores float32."""
    while True:
        node = next((node for node in graph.nodes if node.op == "batch_norm"), None)
        if node is None:
            return graph
        graph = _fold_one(graph, node)


def _fold_one(graph: Graph, node: Node) -> Graph:
    attributes = node.attributes
    assert isinstance(attributes, BatchNormAttributes)
    constants = [data for data in map(graph.constant, node.inputs[1:]) if data is not None]
    scale, offset = scale_and_offset(attributes, constants)
    before = graph.producers().get(node.inputs[0])
    if before is not None and _can_absorb(graph, before, node):
        return _absorb(graph, before, node, scale, offset)
    return _as_depthwise(graph, node, scale, offset)


def _can_absorb(graph: Graph, before: Node, node: Node) -> bool:
    if before.op not in _LINEAR or getattr(before.attributes, "activation", "none") != "none":
        return False
    constant = all(not name or not graph.is_activation(name) for name in before.inputs[1:])
    return constant and feeds_only(graph, before.output, node, graph.consumers())


def _absorb(graph: Graph, before: Node, node: Node, scale: Array, offset: Array) -> Graph:
    """Scale the weights and move the bias of the layer before; its output takes the name."""
    tensors, consumers = dict(graph.tensors), graph.consumers()
    weights, bias_name = graph.tensors[before.inputs[1]], (*before.inputs, "")[2]
    axis = operator(before.op).weights_axis
    assert weights.data is not None
    assert axis is not None
    along = [1] * weights.data.ndim
    along[axis] = -1
    bias = graph.constant(bias_name)
    scaled = weights.data.astype(np.float64) * scale.reshape(along)
    moved = offset if bias is None else bias.astype(np.float64) * scale + offset
    weights_name = own_constant(tensors, weights.name, scaled, consumers[weights.name])
    readers = consumers[bias_name] if bias_name else []
    fallback = node.inputs[2]  # the offset of the normalization becomes the bias
    moved_name = own_constant(
        tensors, bias_name or fallback, moved, readers if bias_name else consumers[fallback]
    )
    layer = dataclasses.replace(
        before, inputs=(before.inputs[0], weights_name, moved_name), outputs=node.outputs
    )
    nodes = tuple(layer if n is before else n for n in graph.nodes if n is not node)
    return prune(graph.replace(nodes=nodes, tensors=tensors))


def _as_depthwise(graph: Graph, node: Node, scale: Array, offset: Array) -> Graph:
    tensors, consumers = dict(graph.tensors), graph.consumers()
    gamma, beta = node.inputs[1], node.inputs[2]
    weights = own_constant(tensors, gamma, scale.reshape(1, 1, 1, -1), consumers[gamma])
    bias = own_constant(tensors, beta, offset, consumers[beta])
    x, y = node.inputs[0], node.output
    shape = tensors[y].shape
    attributes = DepthwiseConv2DAttributes()
    if len(shape) == 4:
        replacement = [Node("depthwise_conv2d", (x, weights, bias), (y,), attributes)]
    else:
        image = (1, 1, int(np.prod(shape[:-1])), shape[-1])
        names = []
        for suffix in ("input", "image"):
            names.append(unique_name(tensors, f"{y}_{suffix}"))
            tensors[names[-1]] = Tensor(names[-1], image)
        before, scaled = names
        replacement = [
            Node("reshape", (x,), (before,), ReshapeAttributes(image)),
            Node("depthwise_conv2d", (before, weights, bias), (scaled,), attributes),
            Node("reshape", (scaled,), (y,), ReshapeAttributes(shape)),
        ]
    nodes = tuple(r for n in graph.nodes for r in (replacement if n is node else (n,)))
    return prune(graph.replace(nodes=nodes, tensors=tensors))
