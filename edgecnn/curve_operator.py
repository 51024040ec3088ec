"""Operators that are a table of int8 values and an interpolated curve of int16 ones."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from edgecnn.fixedpoint import INT16_MAX, round_half_away
from edgecnn.fixedpoint16 import to_curve
from edgecnn.ir import INT16, Array, Attributes, Graph, Node, QuantParams
from edgecnn.operators import Dialect
from edgecnn.table_operator import TableOperator

#: Steps of a curve's argument in 1, and what the scale of the input is multiplied by.
CURVE_STEPS = 3 * 4096
#: How near the logarithm of a scale is to a whole number that counts as a power of two.
NEAR_POWER = 1e-3
MAX_RIGHT_SHIFT = 31


@dataclass(frozen=True)
class CurveParams:
    """Integers of an int16 curve: inputs times ``multiplier / 2**right_shift`` are its argument."""

    size: int
    multiplier: int
    right_shift: int


class CurveOperator(TableOperator[Attributes]):
    """A function whose int16 form TFLite interpolates; its output is in steps of 2**-15."""

    has_wide_form: ClassVar[bool] = True
    fixed_wide_output: ClassVar[QuantParams | None] = QuantParams.per_tensor(2.0**-15, 0)
    #: Input scales 2**(n - 12) that are taken as exactly that, by n.
    exact_powers: ClassVar[tuple[int, ...]] = (0,)

    @abstractmethod
    def curve(self, argument: Array) -> Array:
        """The function in Q0.15 of arguments in steps of 1 / `CURVE_STEPS`."""

    def lower(self, node: Node, graph: Graph, dialect: Dialect) -> Any:
        """The table, or of int16 the multiplier of the input."""
        x = graph.tensors[node.inputs[0]]
        if x.dtype != INT16:
            return super().lower(node, graph, dialect)
        return CurveParams(x.size, *curve_multiplier(x.scale, self.exact_powers))

    def evaluate_int(self, params: Any, inputs: Sequence[Array]) -> tuple[Array, ...]:
        """Look the bytes up, or follow the curve."""
        if not isinstance(params, CurveParams):
            return super().evaluate_int(params, inputs)
        argument = to_curve(inputs[0], params.multiplier, params.right_shift)
        return (self.curve(argument).astype(np.int16),)

    def wide_problem(self, node: Node, graph: Graph) -> str | None:
        """Say why an int16 node cannot be computed, or None."""
        if graph.tensors[node.output].quant != self.fixed_wide_output:
            return "its int16 output scale is not 1/32768"
        scale = graph.tensors[node.inputs[0]].scale
        if curve_multiplier(scale, self.exact_powers)[0] > INT16_MAX:
            return f"its int16 input scale is over {INT16_MAX / CURVE_STEPS:.3f}"
        return None


def curve_multiplier(scale: float, exact_powers: Sequence[int]) -> tuple[int, int]:
    """Multiplier of up to 15 bits and right shift that turn inputs into a curve's argument.

    As TFLite's ``LogisticPrepare`` and ``TanhPrepare``: the logarithm is a float32, the
    multiplier truncated.
    """
    logarithm = np.log(np.float32(scale)) * (np.float32(1) / np.log(np.float32(2)))
    whole = int(round_half_away(logarithm))
    if abs(logarithm - whole) < NEAR_POWER and whole + 12 in exact_powers:
        return 3 << (whole + 12), 0
    multiplier, right_shift = scale * CURVE_STEPS, 0
    while multiplier <= INT16_MAX / 2 and right_shift < MAX_RIGHT_SHIFT:
        multiplier, right_shift = 2 * multiplier, right_shift + 1
    return int(multiplier), right_shift
