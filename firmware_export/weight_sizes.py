"""What the constants of each layer take in flash, and how much of that the model itself has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from edgecnn.ir import Array, Graph, Node
from firmware_export.c_writer import CNetwork
from firmware_export.exporters import CArray, CLayer, FieldValue


@dataclass(frozen=True)
class WeightSizes:
    """Bytes of a layer's constants; those that several layers have count at the first of them.

    ``stored`` are the arrays of the weights file, ``model`` the model's own constants (int8
    weights, int32 biases), and ``padding`` what fills up the arrays and carries no information.
    """

    stored: int = 0
    model: int = 0
    padding: int = 0

    @property
    def expansion(self) -> int:
        """What else is stored: transformed or repeated weights, and tables to requantize by.

        Negative where the C has no need of all that the model has.
        """
        return self.stored - self.model - self.padding

    def __add__(self, other: WeightSizes) -> WeightSizes:
        return WeightSizes(
            self.stored + other.stored, self.model + other.model, self.padding + other.padding
        )

    def to_json(self) -> dict[str, int]:
        """The entry ``weights`` of the manifest, of a layer and of all."""
        return {
            "stored_bytes": self.stored,
            "model_bytes": self.model,
            "padding_bytes": self.padding,
            "expansion_bytes": self.expansion,
        }


def weight_sizes(graph: Graph, network: CNetwork) -> dict[int, WeightSizes]:
    """The sizes of each layer that has constants, by its place.

    Layers that are computed inside a later one count with that one.
    """
    sizes = {}
    stored: set[tuple[str, bytes]] = set()
    given: set[tuple[str, bytes]] = set()
    for step, layer in enumerate(network.layers):
        if layer is None:
            continue
        arrays = [array for array in _arrays(layer) if _is_new(array.data, stored)]
        constants = [data for data in _constants(graph, step, layer) if _is_new(data, given)]
        found = WeightSizes(
            sum(array.data.nbytes for array in arrays),
            sum(data.nbytes for data in constants),
            sum(array.padding_bytes for array in arrays),
        )
        if found != WeightSizes():
            sizes[step] = found
    return sizes


def total(sizes: Mapping[int, WeightSizes]) -> WeightSizes:
    """The sizes of all layers together."""
    return sum(sizes.values(), WeightSizes())


def _is_new(data: Array, seen: set[tuple[str, bytes]]) -> bool:
    """Whether an array is none of those seen before, of which it then is one."""
    key = (data.dtype.name, np.ascontiguousarray(data).tobytes())
    is_new = key not in seen
    seen.add(key)
    return is_new


def _arrays(layer: CLayer) -> Iterator[CArray]:
    """The arrays of a layer's call, in the order in which the C has them."""
    yield from _within(layer.fields.values())
    yield from layer.constants.values()
    yield from _within(layer.shape.values())


def _within(values: Iterable[FieldValue]) -> Iterator[CArray]:
    return (value for value in values if isinstance(value, CArray))


def _constants(graph: Graph, step: int, layer: CLayer) -> Iterator[Array]:
    """The model's constants of the nodes that a layer's call computes."""
    members: list[Node] = [node for node in graph.nodes[:step] if node.output in layer.inside]
    for node in [*members, graph.nodes[step]]:
        for name in dict.fromkeys(node.inputs):
            data = graph.constant(name)
            if data is not None:
                yield data
