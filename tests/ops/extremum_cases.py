"""Cases and tests of the larger and the smaller of two operands."""

from __future__ import annotations

from tests.ops.binary_cases import PAIR_SCALES, Operand, Quants, binary, draw_pair
from tests.ops.binary_tests import BinaryTests
from tests.ops.case_table import Case, Rng, problem

SHARED: Quants = ((0.05, 3), (0.05, 3), (0.05, 3))


def extremum(op: str, name: str, a: Operand, b: Operand, scales: Quants = SHARED) -> Case:
    """Two operands and a result of one scale."""
    return binary(name, op, a, b, scales)


def draw_extremum(op: str, rng: Rng, name: str) -> Case:
    """Random operands of one scale."""
    a, b, (first, *_) = draw_pair(rng)
    return extremum(op, name, a, b, (first, first, first))


class ExtremumTests(BinaryTests):
    """All that holds for both."""

    @staticmethod
    def quants(scales: Quants) -> Quants:
        return (scales[0],) * 3

    def test_refuses_scales_that_differ(self) -> None:
        case = self.make("y", (1, 2), (1, 2), PAIR_SCALES["near"])
        assert "differ in scale" in (problem(case) or "")
