"""Makes int8 graphs with arbitrary weights and scales out of float ones."""

from __future__ import annotations

import dataclasses

import numpy as np

from edgecnn import verify
from edgecnn.ir import INT8, INT32, Array, Graph, Node, QuantParams, Tensor
from edgecnn.operators import OutputRange, operator
from edgecnn.simulator import run_int

Rng = np.random.Generator


def arbitrary_int8(graph: Graph, seed: int = 0) -> Graph:
    """The int8 graph of the same structure; values are random, rules are kept."""
    rng = np.random.default_rng(seed)
    tensors: dict[str, Tensor] = {}
    for name in graph.inputs:
        tensors[name] = _activation(graph.tensors[name], _quant(rng))
    for node in graph.nodes:
        for position, name in enumerate(node.inputs):
            if name and name not in tensors:
                tensors[name] = _constant(rng, node, position, graph.tensors[name])
        tensors[node.output] = _activation(
            graph.tensors[node.output], _output_quant(rng, node, tensors)
        )
    int8 = graph.replace(tensors=tensors)
    verify.check(int8)
    return int8


def _quant(rng: Rng) -> QuantParams:
    return QuantParams.per_tensor(rng.uniform(0.02, 0.08), int(rng.integers(-20, 20)))


def _activation(tensor: Tensor, quant: QuantParams) -> Tensor:
    return dataclasses.replace(tensor, dtype=INT8, quant=quant)


def _output_quant(rng: Rng, node: Node, tensors: dict[str, Tensor]) -> QuantParams:
    meaning = operator(node.op)
    if meaning.output_range is OutputRange.SAME_AS_INPUT:
        quant = tensors[node.inputs[0]].quant
    else:
        quant = meaning.fixed_output
    return quant or _quant(rng)


def _constant(rng: Rng, node: Node, position: int, tensor: Tensor) -> Tensor:
    axis = operator(node.op).weights_axis
    if axis is not None and position == 2:
        data: Array = rng.integers(-500, 500, tensor.shape, np.int32)
        return Tensor(tensor.name, tensor.shape, INT32, data)
    data = rng.integers(-127, 128, tensor.shape, np.int8)
    quant = _quant(rng)
    if axis is not None:
        channels = tensor.shape[axis] if operator(node.op).per_channel else 1
        scales = tuple(float(np.float32(s)) for s in rng.uniform(0.002, 0.01, channels))
        quant = QuantParams(scales, (0,) * channels, axis if channels > 1 else None)
    return Tensor(tensor.name, tensor.shape, INT8, data, quant)


def run_as_given(graph: Graph, seed: int = 1, samples: int = 3) -> list[Array]:
    """Outputs of random bytes, in the layouts that the user has before and after."""
    rng = np.random.default_rng(seed)
    feeds = {}
    for name in graph.inputs:
        order = graph.input_permutations.get(name, tuple(range(len(graph.tensors[name].shape))))
        inner = graph.tensors[name].shape
        shape = tuple(inner[order.index(axis)] for axis in range(len(order)))
        users = rng.integers(-128, 128, (samples, *shape), np.int8)
        feeds[name] = users.transpose(0, *(axis + 1 for axis in order))
    values = run_int(graph, feeds)
    return [
        values[name].transpose(
            0,
            *(a + 1 for a in graph.output_permutations.get(name, range(values[name].ndim - 1))),
        )
        for name in graph.outputs
    ]
