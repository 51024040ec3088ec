from __future__ import annotations

from tests.ops.case_table import Case, Rng, problem
from tests.ops.case_tests import CaseTests
from tests.ops.resize_cases import FLAGS, draw_resize, named_cases, resize

CASES = named_cases("resize_bilinear", FLAGS)


def random_case(rng: Rng, name: str) -> Case:
    return draw_resize("resize_bilinear", rng, name, FLAGS.values())


class TestResizeBilinear(CaseTests):
    cases = CASES
    draw = staticmethod(random_case)


def test_refuses_both_conventions_at_once() -> None:
    case = resize("resize_bilinear", "x", (3, 3, 1), (6, 6), (True, True))
    assert "at once" in (problem(case) or "")


def test_refuses_steps_that_run_over_the_end() -> None:
    case = resize("resize_bilinear", "wide", (1, 4, 1), (1, 2049), (True, False))
    assert "over the end" in (problem(case) or "")
