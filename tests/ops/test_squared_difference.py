from __future__ import annotations

from tests.ops.binary_cases import PAIR_SCALES, Operand, Quants, binary, draw_pair, named_cases
from tests.ops.binary_tests import RescalingTests
from tests.ops.case_table import Case, Rng


def squared_difference(
    name: str, a: Operand, b: Operand, scales: Quants = PAIR_SCALES["near"]
) -> Case:
    return binary(name, "squared_difference", a, b, scales)


CASES = named_cases(squared_difference)


def random_squared_difference(rng: Rng, name: str) -> Case:
    return squared_difference(name, *draw_pair(rng, product=True))


class TestSquaredDifference(RescalingTests):
    cases = CASES
    draw = staticmethod(random_squared_difference)
    make = staticmethod(squared_difference)
    product = True
