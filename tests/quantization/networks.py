"""Small float networks for quantization, and one made hard for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edgecnn import verify
from edgecnn.ir import Array, Attributes, Graph, Node, Tensor
from edgecnn.operators import operator

#: op, inputs, and attributes; its output is named after its place: ``"t0"``, ``"t1"``, …
Layer = tuple[str, Sequence[str], Attributes]


def network(
    layers: Sequence[Layer],
    constants: Mapping[str, Array],
    shape: tuple[int, ...],
    outputs: Sequence[str] = (),
) -> Graph:
    """A float graph with the input ``"x"``."""
    tensors = {"x": Tensor("x", shape)}
    for name, data in constants.items():
        tensors[name] = Tensor(name, data.shape, data=data.astype(np.float32))
    nodes = []
    for index, (op, inputs, attributes) in enumerate(layers):
        shapes = [tensors[name].shape if name else () for name in inputs]
        (made,) = operator(op).infer_shapes(attributes, shapes)
        tensors[f"t{index}"] = Tensor(f"t{index}", made)
        nodes.append(Node(op, tuple(inputs), (f"t{index}",), attributes))
    last = (f"t{len(layers) - 1}",)
    graph = Graph("net", tuple(nodes), tensors, ("x",), tuple(outputs) or last)
    verify.check(graph)
    return graph


def with_constants(graph: Graph, constants: Mapping[str, Array]) -> Graph:
    """The graph with other data in some constants."""
    tensors = dict(graph.tensors)
    for name, data in constants.items():
        tensors[name] = replace(tensors[name], data=data.astype(np.float32))
    return graph.replace(tensors=tensors)


def rescaled_chain(graph: Graph, largest: float, seed: int = 0) -> Graph:
    """The same function with channels between layers that follow each other rescaled.

    Weights and bias of a layer are multiplied by random factors, from 1 to ``largest`` and evenly
    in their logarithm, and the weights of the convolution that alone reads it divided by them.
    """
    rng = np.random.default_rng(seed)
    readers = graph.consumers()
    for node in graph.nodes:
        (reader, *others) = readers[node.output] or (node,)
        if others or node.op not in _OUTPUTS or reader.op not in _INPUTS or reader is node:
            continue
        count = graph.tensors[node.output].shape[-1]
        if graph.tensors[reader.inputs[1]].shape[-1] % count:
            continue  # a convolution in groups
        factors = np.exp(rng.uniform(0, np.log(largest), count))
        weights, bias = (_data(graph, name) for name in node.inputs[1:3])
        read = _data(graph, reader.inputs[1])
        repeat = read.shape[-1] // count
        graph = with_constants(
            graph,
            {
                node.inputs[1]: weights * factors.reshape(_OUTPUTS[node.op]),
                node.inputs[2]: bias * factors,
                reader.inputs[1]: read / np.repeat(factors, repeat),
            },
        )
    return graph


#: Shape that factors of output channels need to be multiplied with weights.
_OUTPUTS: dict[str, Any] = {"conv2d": (-1, 1, 1, 1), "depthwise_conv2d": (1, 1, 1, -1)}
#: Layers whose weights have the input's channels last.
_INPUTS = ("conv2d", "depthwise_conv2d")


def _data(graph: Graph, name: str) -> Array:
    data = graph.constant(name)
    assert data is not None
    return data.astype(np.float64)
