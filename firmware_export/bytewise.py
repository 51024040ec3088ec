"""Moving values of several bytes with kernels that move bytes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgecnn.ir import Array, Graph, Node, Shape


def value_bytes(graph: Graph, node: Node) -> int:
    """Bytes of a value of a node's output."""
    return np.dtype(graph.tensors[node.output].dtype).itemsize


def with_bytes(shape: Shape, strides: Sequence[int], size: int) -> tuple[Shape, tuple[int, ...]]:
    """Shape and strides of the bytes of values of some size: one axis more, where it takes one."""
    if size == 1:
        return shape, tuple(strides)
    return (*shape, size), (*(size * stride for stride in strides), 1)


def as_bytes(data: Array) -> Array:
    """The bytes of an array, as int8, in the order of a little-endian core."""
    return np.ascontiguousarray(data, np.dtype(data.dtype).newbyteorder("<")).reshape(-1).view("i1")
