from __future__ import annotations

from functools import partial

from tests.ops.binary_cases import named_cases
from tests.ops.case_table import Case, Rng
from tests.ops.extremum_cases import ExtremumTests, draw_extremum, extremum

maximum = partial(extremum, "maximum")
CASES = named_cases(maximum)


def random_maximum(rng: Rng, name: str) -> Case:
    return draw_extremum("maximum", rng, name)


class TestMaximum(ExtremumTests):
    cases = CASES
    draw = staticmethod(random_maximum)
    make = staticmethod(maximum)
