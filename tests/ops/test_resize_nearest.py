from __future__ import annotations

from tests.ops.case_table import Case, Rng
from tests.ops.case_tests import CaseTests
from tests.ops.resize_cases import FLAGS, draw_resize, named_cases

#: Unlike bilinear resizing, it takes both conventions at once.
BOTH = {**FLAGS, "both": (True, True)}

CASES = named_cases("resize_nearest", BOTH)


def random_case(rng: Rng, name: str) -> Case:
    return draw_resize("resize_nearest", rng, name, BOTH.values())


class TestResizeNearest(CaseTests):
    cases = CASES
    draw = staticmethod(random_case)
