from __future__ import annotations

from tests.ops.case_table import Case, Rng
from tests.ops.extremum_cases import ExtremumTests, draw_extremum, named_cases

CASES = named_cases("minimum")


def random_minimum(rng: Rng, name: str) -> Case:
    return draw_extremum("minimum", rng, name)


class TestMinimum(ExtremumTests):
    op = "minimum"
    cases = CASES
    draw = staticmethod(random_minimum)
