"""The graph that every part of edgecnn works on: frozen, NHWC, one producer per tensor.

A `Graph` is a list of `Node`s in execution order and a table of `Tensor`s. Front ends make
one, passes map one to another, quantization turns a float one into an int8 one, and the
simulator, the `.tflite` writer and the C writer read it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgecnn.errors import InvariantError

Shape = tuple[int, ...]
Array = NDArray[Any]

FLOAT32 = "float32"
INT8 = "int8"
INT16 = "int16"
INT32 = "int32"
INT64 = "int64"

#: Largest scale that is taken. The runtimes multiply scales in float32, those of ADD by 2**20,
#: and end the whole process where that becomes infinite.
MAX_SCALE = 1e30


@dataclass(frozen=True)
class QuantParams:
    """Affine quantization: ``real = scale * (q - zero_point)``.

    ``scale`` holds float32 values (kept as Python floats that are exactly float32), one, or one
    for each index along ``axis``; ``zero_point`` has as many.
    """

    scale: tuple[float, ...]
    zero_point: tuple[int, ...]
    axis: int | None = None

    @staticmethod
    def per_tensor(scale: float, zero_point: int) -> QuantParams:
        """One scale (rounded to float32) and one zero point for a whole tensor."""
        return QuantParams((float(np.float32(scale)),), (int(zero_point),))

    @property
    def is_per_channel(self) -> bool:
        """Whether there is more than one scale."""
        return len(self.scale) > 1


@dataclass(frozen=True, eq=False)
class Tensor:
    """A value in the graph. ``data`` is set for constants, ``quant`` for quantized tensors."""

    name: str
    shape: Shape
    dtype: str = FLOAT32
    data: Array | None = None
    quant: QuantParams | None = None

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """Number of bytes."""
        return self.size * np.dtype(self.dtype).itemsize

    @property
    def scale(self) -> float:
        """The scale of a per-tensor quantized tensor."""
        return self._per_tensor().scale[0]

    @property
    def zero_point(self) -> int:
        """The zero point of a per-tensor quantized tensor."""
        return self._per_tensor().zero_point[0]

    def _per_tensor(self) -> QuantParams:
        if self.quant is None or self.quant.is_per_channel:
            raise InvariantError(f"tensor '{self.name}' has no per-tensor quantization")
        return self.quant


@dataclass(frozen=True)
class Attributes:
    """Base of the attributes of an operator; each operator has a frozen subclass."""


@dataclass(frozen=True)
class Node:
    """One operator applied to tensors, by name. An absent optional input is ``""``."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Attributes = field(default_factory=Attributes)

    @property
    def output(self) -> str:
        """The first output, by which a node is named in messages and reports."""
        return self.outputs[0]


@dataclass(frozen=True, eq=False)
class Graph:
    """A network. ``nodes`` are in execution order; the batch dimension of tensors is 1.

    ``input_permutations[name]`` turns an array as the user gives it (NCHW from torch or ONNX)
    into the graph's NHWC array; ``output_permutations[name]`` turns the graph's array into the
    user's. Tensors that need none are absent.
    """

    name: str
    nodes: tuple[Node, ...]
    tensors: Mapping[str, Tensor]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    input_permutations: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    output_permutations: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    source_sha256: str = ""

    def replace(self, **changes: Any) -> Graph:
        """Return a copy with some fields replaced."""
        return dataclasses.replace(self, **changes)

    @property
    def is_quantized(self) -> bool:
        """Whether the network computes on int8."""
        return all(self.tensors[name].dtype == INT8 for name in self.inputs)

    def constant(self, name: str) -> Array | None:
        """The data of a constant, or None for an absent input or an activation."""
        return self.tensors[name].data if name else None

    def is_activation(self, name: str) -> bool:
        """Whether a name stands for a tensor that is computed or fed, not a constant."""
        return bool(name) and self.tensors[name].data is None

    def activation_inputs(self, node: Node) -> tuple[str, ...]:
        """The inputs of a node that are not constants."""
        return tuple(name for name in node.inputs if self.is_activation(name))

    def is_wide(self, node: Node) -> bool:
        """Whether a node of an int8 graph takes or gives int16 activations."""
        names = (*self.activation_inputs(node), *node.outputs)
        return any(self.tensors[name].dtype == INT16 for name in names)

    def producers(self) -> dict[str, Node]:
        """Map each computed tensor to the node that computes it."""
        return {name: node for node in self.nodes for name in node.outputs}

    def consumers(self) -> dict[str, list[Node]]:
        """Map each tensor to the nodes that read it, in execution order."""
        readers: dict[str, list[Node]] = {name: [] for name in self.tensors}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                if name:
                    readers[name].append(node)
        return readers

    def activations(self) -> list[str]:
        """Graph inputs and computed tensors, in execution order."""
        return [*self.inputs, *(name for node in self.nodes for name in node.outputs)]


def prune(graph: Graph) -> Graph:
    """Drop nodes and tensors that no output depends on."""
    needed = set(graph.outputs)
    kept: list[Node] = []
    for node in reversed(graph.nodes):
        if needed.intersection(node.outputs):
            kept.append(node)
            needed.update(name for name in node.inputs if name)
            needed.update(node.outputs)
    names = needed.union(graph.inputs)
    tensors = {name: tensor for name, tensor in graph.tensors.items() if name in names}
    return graph.replace(nodes=tuple(reversed(kept)), tensors=tensors)


def with_tensors(graph: Graph, tensors: Iterable[Tensor]) -> dict[str, Tensor]:
    """Return the tensor table of a graph with tensors added or replaced."""
    return {**graph.tensors, **{tensor.name: tensor for tensor in tensors}}
