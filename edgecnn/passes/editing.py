"""What the rewrites have in common: names, sole readers, and constants of one's own."""

from __future__ import annotations

import dataclasses
from collections.abc import Container, Mapping, Sequence

import numpy as np

from edgecnn.ir import Array, Graph, Node, Shape, Tensor


def unique_name(taken: Container[str], base: str) -> str:
    """``base``, or with a number behind it where it is taken."""
    candidate, number = base, 1
    while candidate in taken:
        candidate, number = f"{base}_{number}", number + 1
    return candidate


def feeds_only(
    graph: Graph, name: str, reader: Node, consumers: Mapping[str, Sequence[Node]]
) -> bool:
    """Whether a tensor is read by one node alone and is no output of the graph."""
    return name not in graph.outputs and all(node is reader for node in consumers[name])


def own_constant(
    tensors: dict[str, Tensor],
    base: str,
    data: Array,
    readers: Sequence[Node],
) -> str:
    """Enter a float32 constant that replaces ``base``, and return its name.

    It takes over the name unless other nodes read the constant that has it.
    """
    name = base if base in tensors and len(readers) <= 1 else unique_name(tensors, base)
    data = np.ascontiguousarray(data, np.float32)
    tensors[name] = Tensor(name, data.shape, data.dtype.name, data)
    return name


def same_quant(graph: Graph, node: Node) -> bool:
    """Whether the first input and the output of a node have one and the same scale."""
    return graph.tensors[node.inputs[0]].quant == graph.tensors[node.output].quant


def compose(first: Sequence[int], second: Sequence[int]) -> tuple[int, ...]:
    """The permutation of axes that does ``first`` and then ``second``."""
    return tuple(first[axis] for axis in second)


def invert(permutation: Sequence[int]) -> tuple[int, ...]:
    """The permutation that undoes another."""
    return tuple(int(axis) for axis in np.argsort(permutation))


def permuted(shape: Sequence[int], permutation: Sequence[int]) -> Shape:
    """The shape after a transpose."""
    return tuple(shape[axis] for axis in permutation)


def is_identity(permutation: Sequence[int]) -> bool:
    """Whether a permutation moves nothing."""
    return tuple(permutation) == tuple(range(len(permutation)))


def renamed(graph: Graph, names: Mapping[str, str]) -> Graph:
    """The graph with some of its tensors called otherwise, all at once."""

    def new(name: str) -> str:
        return names.get(name, name)

    return graph.replace(
        nodes=tuple(
            dataclasses.replace(
                node, inputs=tuple(map(new, node.inputs)), outputs=tuple(map(new, node.outputs))
            )
            for node in graph.nodes
        ),
        tensors={
            new(name): dataclasses.replace(tensor, name=new(name))
            for name, tensor in graph.tensors.items()
        },
        inputs=tuple(map(new, graph.inputs)),
        outputs=tuple(map(new, graph.outputs)),
        input_permutations={new(k): v for k, v in graph.input_permutations.items()},
        output_permutations={new(k): v for k, v in graph.output_permutations.items()},
    )
