from __future__ import annotations

from tests.ops.case_table import Case, Rng
from tests.ops.extremum_cases import ExtremumTests, draw_extremum, named_cases

CASES = named_cases("maximum")


def random_maximum(rng: Rng, name: str) -> Case:
    return draw_extremum("maximum", rng, name)


class TestMaximum(ExtremumTests):
    op = "maximum"
    cases = CASES
    draw = staticmethod(random_maximum)
