"""Any function of one variable, as a table of 256 bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.errors import InvariantError
from edgecnn.fixedpoint import INT8_MAX, INT8_MIN, dequantize_exactly, quantize_exactly
from edgecnn.functions import compute, goes_to_infinity_at_zero
from edgecnn.ir import Array, Attributes, Graph, Node, Tensor
from edgecnn.operators import Dialect, operator
from edgecnn.table_operator import CODES, TableOperator

MAX_RANK = 5


@dataclass(frozen=True)
class Step:
    """One operator of a composed function.

    An operand is a constant (float) or the number of a value (int): 0 is the argument, k the
    result of step k - 1.
    """

    op: str
    attributes: Attributes
    operands: tuple[int | float, ...]


@dataclass(frozen=True)
class TableAttributes(Attributes):
    """What the table holds: a named function with its parameters, composed steps, or bytes.

    ``function`` is a name in `edgecnn.functions.FUNCTIONS`. Only an int8 network that was read
    has ``values``: int8 bytes for the inputs -128 … 127, whatever they stand for.
    """

    function: str = ""
    parameters: tuple[float, ...] = ()
    steps: tuple[Step, ...] = ()
    values: bytes = b""


class Table(TableOperator[TableAttributes]):
    """A table."""

    attributes = TableAttributes
    summary = "256 bytes, exact in double; at a pole the end of the output's range"

    def function(self, attributes: TableAttributes, x: Array) -> Array:
        if attributes.function:
            return compute(attributes.function, x, attributes.parameters)
        if not attributes.steps:
            raise InvariantError("a table of bytes has no meaning in float")
        return _composed(attributes.steps, x)

    def table(self, node: Node, graph: Graph, dialect: Dialect) -> Array:
        a = node.attributes
        assert isinstance(a, TableAttributes)
        if a.values:
            return np.frombuffer(a.values, np.int8)
        output = graph.tensors[node.output]
        reals = self.function(a, _reals(graph.tensors[node.inputs[0]]))
        return quantize_exactly(reals, output.scale, output.zero_point)

    def unsupported(self, node: Node, graph: Graph) -> str | None:
        a = node.attributes
        assert isinstance(a, TableAttributes)
        x = graph.tensors[node.inputs[0]]
        if len(x.shape) > MAX_RANK:
            return f"it has {len(x.shape)} dimensions; at most {MAX_RANK} are supported"
        if x.quant is None or a.values:
            return None
        name = a.function or "this function"
        if a.function and goes_to_infinity_at_zero(a.function, a.parameters) and _spans_zero(x):
            return f"{name} is not defined at 0, and its input's range has values on both sides"
        undefined = CODES[np.isnan(self.function(a, _reals(x)))]
        if undefined.size:
            worst = float(dequantize_exactly(undefined[0], x.scale, x.zero_point))
            return f"{name} is not defined at {worst:.4g}, which is in the range of its input"
        return None


def _reals(x: Tensor) -> Array:
    """The reals that the 256 bytes stand for; 0 has the sign of the side that the others are on."""
    reals = dequantize_exactly(CODES, x.scale, x.zero_point)
    return np.where(reals == 0, -0.0, reals) if x.zero_point == INT8_MAX else reals


def _spans_zero(x: Tensor) -> bool:
    return INT8_MIN < x.zero_point < INT8_MAX


def _composed(steps: Sequence[Step], x: Array) -> Array:
    values = [x]
    with np.errstate(all="ignore"):
        for step in steps:
            operands = [
                values[k] if isinstance(k, int) else np.full((1,) * x.ndim, k)
                for k in step.operands
            ]
            values.append(_apply(step, operands))
    return values[-1]


def _apply(step: Step, operands: list[Array]) -> Array:
    """One step, in double where the operator can."""
    op = operator(step.op)
    if isinstance(op, TableOperator):
        result: Array = op.function(step.attributes, *operands)
    else:
        (result,) = op.evaluate_float(step.attributes, operands)
    return np.asarray(result, np.float64)


OPERATOR = Table()
