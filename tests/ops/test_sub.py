from __future__ import annotations

from edgecnn.ops.sub import SubAttributes
from tests.ops.binary_cases import PAIR_SCALES, Operand, Quants, binary, draw_pair, named_cases
from tests.ops.binary_tests import RescalingTests
from tests.ops.case_table import ACTIVATIONS, Case, Rng, draw


def sub(
    name: str,
    a: Operand,
    b: Operand,
    scales: Quants = PAIR_SCALES["near"],
    activation: str = "none",
) -> Case:
    return binary(name, "sub", a, b, scales, SubAttributes(activation))


CASES = [
    *named_cases(sub),
    *(sub(f"fused-{a}", (1, 300), (1, 300), activation=a) for a in ACTIVATIONS),
]


def random_sub(rng: Rng, name: str) -> Case:
    return sub(name, *draw_pair(rng), activation=draw(rng, ACTIVATIONS))


class TestSub(RescalingTests):
    cases = CASES
    draw = staticmethod(random_sub)
    make = staticmethod(sub)
    unreachable = "500,000 times smaller"
