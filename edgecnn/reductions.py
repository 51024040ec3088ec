"""What the operators that reduce axes have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from edgecnn.accumulate import MAX_OFFSET_INPUT, MAX_WIDE_INPUT
from edgecnn.fixedpoint import INT32_MAX, scaling_overflows
from edgecnn.ir import Attributes, Graph, Node, Shape
from edgecnn.operators import Dialect, Operator

#: Dimensions that TFLite Micro's kernels of sums go up to.
MAX_RANK = 4


@dataclass(frozen=True)
class ReduceAttributes(Attributes):
    """Axes are non-negative and ascending."""

    axes: tuple[int, ...]
    keep_dims: bool = False


def reduced_shape(attributes: ReduceAttributes, shape: Shape) -> Shape:
    """The shape without the reduced axes, or with 1 in their place."""
    if not set(attributes.axes) <= set(range(len(shape))):
        raise ValueError(f"it has no axes {attributes.axes}")
    if attributes.keep_dims:
        return tuple(1 if i in attributes.axes else n for i, n in enumerate(shape))
    return tuple(n for i, n in enumerate(shape) if i not in attributes.axes)


class Reduction:
    """What reductions answer alike; as a base class it comes before that of the operator."""

    summary = "over any axes"

    def infer_shapes(
        self, attributes: ReduceAttributes, shapes: Sequence[Shape]
    ) -> tuple[Shape, ...]:
        """See `reduced_shape`."""
        return (reduced_shape(attributes, shapes[0]),)

    def keeps_samples_apart(self, attributes: ReduceAttributes) -> bool:
        """Whether the first axis stays."""
        return 0 not in attributes.axes


class Rescaled(Protocol):
    """Integers that end with a multiplication and a shift."""

    @property
    def shift(self) -> int:
        """To the left where it is positive."""
        ...


A = TypeVar("A", bound=ReduceAttributes)
P = TypeVar("P", bound=Rescaled)


class SummingOperator(Reduction, Operator[A, P]):
    """A reduction that adds up int32 and rescales the sum."""

    def is_homogeneous(self, attributes: A) -> bool:
        """Yes."""
        return True

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        """Too many dimensions, and what int32 cannot hold."""
        a = node.attributes
        assert isinstance(a, ReduceAttributes)
        shape = graph.tensors[node.inputs[0]].shape
        if len(shape) > MAX_RANK:
            return f"it has {len(shape)} dimensions; at most {MAX_RANK} are supported"
        most = MAX_WIDE_INPUT if graph.is_wide(node) else MAX_OFFSET_INPUT
        largest = int(np.prod([shape[axis] for axis in a.axes], dtype=np.int64)) * most
        if largest > INT32_MAX:
            return "it sums so many values that int32 can overflow"
        if graph.tensors[node.output].quant is None:
            return None
        if scaling_overflows(largest, self.lower(node, graph, Dialect.TFLM).shift):
            return "its output scale is so small that rescaling overflows int32"
        return None
