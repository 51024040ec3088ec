"""Operators of one int8 input whose outputs are looked up in 256 bytes.

Whatever arithmetic a runtime uses for such an operator, there are only 256 inputs: `lower` does
it once for each, and the kernel is a lookup.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import numpy as np

from edgecnn.fixedpoint import INT8_MAX, INT8_MIN
from edgecnn.ir import Array, Attributes, Graph, Node, Shape
from edgecnn.operators import Dialect, Operator

A = TypeVar("A", bound=Attributes)

#: Every int8 value, in the order of a table's entries.
CODES: Array = np.arange(INT8_MIN, INT8_MAX + 1)


@dataclass(frozen=True, eq=False)
class TableParams:
    """``table[q + 128]`` is the output byte of the input byte q; ``size`` bytes are looked up."""

    size: int
    table: Array


def look_up(params: TableParams, x: Array) -> Array:
    """The bytes of a table for int8 values."""
    found: Array = params.table[x.astype(np.int64) - INT8_MIN]
    return found


class TableOperator(Operator[A, TableParams]):
    """An operator that is a table once its scales are known; subclasses compute the table."""

    is_elementwise: ClassVar[bool] = True

    @abstractmethod
    def table(self, node: Node, graph: Graph, dialect: Dialect) -> Array:
        """The 256 output bytes (int8), for the inputs -128 … 127."""

    @abstractmethod
    def function(self, attributes: A, x: Array) -> Array:
        """The real function, on float64."""

    def infer_shapes(self, attributes: A, shapes: Sequence[Shape]) -> tuple[Shape, ...]:
        """The input's shape."""
        (shape,) = shapes
        return (shape,)

    def evaluate_float(self, attributes: A, inputs: Sequence[Array | None]) -> tuple[Array, ...]:
        """`function` of the input, rounded to float32."""
        (x,) = inputs
        assert x is not None
        return (self.function(attributes, x.astype(np.float64)).astype(np.float32),)

    def lower(self, node: Node, graph: Graph, dialect: Dialect) -> TableParams:
        """Compute the table."""
        table = self.table(node, graph, dialect)
        assert table.shape == CODES.shape
        assert table.dtype == np.int8
        return TableParams(graph.tensors[node.inputs[0]].size, table)

    def evaluate_int(self, params: TableParams, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """Look the bytes up."""
        return (look_up(params, inputs[0]),)
