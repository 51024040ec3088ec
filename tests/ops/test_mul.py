from __future__ import annotations

from edgecnn.ops.mul import MulAttributes
from tests.ops.binary_cases import PAIR_SCALES, Operand, Quants, binary, draw_pair, named_cases
from tests.ops.binary_tests import RescalingTests
from tests.ops.case_table import ACTIVATIONS, Case, Rng, draw


def mul(
    name: str,
    a: Operand,
    b: Operand,
    scales: Quants = PAIR_SCALES["near"],
    activation: str = "none",
) -> Case:
    return binary(name, "mul", a, b, scales, MulAttributes(activation))


CASES = [
    *named_cases(mul),
    *(mul(f"fused-{a}", (1, 300), (1, 300), activation=a) for a in ACTIVATIONS),
]


def random_mul(rng: Rng, name: str) -> Case:
    return mul(name, *draw_pair(rng, product=True), activation=draw(rng, ACTIVATIONS))


class TestMul(RescalingTests):
    cases = CASES
    draw = staticmethod(random_mul)
    make = staticmethod(mul)
    product = True
