from __future__ import annotations

from functools import partial

from tests.ops.binary_cases import named_cases
from tests.ops.case_table import Case, Rng
from tests.ops.extremum_cases import ExtremumTests, draw_extremum, extremum

minimum = partial(extremum, "minimum")
CASES = named_cases(minimum)


def random_minimum(rng: Rng, name: str) -> Case:
    return draw_extremum("minimum", rng, name)


class TestMinimum(ExtremumTests):
    cases = CASES
    draw = staticmethod(random_minimum)
    make = staticmethod(minimum)
