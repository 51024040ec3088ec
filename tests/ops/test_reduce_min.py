from __future__ import annotations

from tests.ops.case_table import Case, Rng
from tests.ops.reduction_cases import ReductionTests, draw_reduction, named_cases

CASES = named_cases("reduce_min")


def random_case(rng: Rng, name: str) -> Case:
    return draw_reduction("reduce_min", rng, name)


class TestReduceMin(ReductionTests):
    op = "reduce_min"
    cases = CASES
    draw = staticmethod(random_case)
