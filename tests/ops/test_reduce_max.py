from __future__ import annotations

from tests.ops.case_table import Case, Rng
from tests.ops.reduction_cases import ReductionTests, draw_reduction, named_cases

CASES = named_cases("reduce_max")


def random_case(rng: Rng, name: str) -> Case:
    return draw_reduction("reduce_max", rng, name)


class TestReduceMax(ReductionTests):
    op = "reduce_max"
    cases = CASES
    draw = staticmethod(random_case)
