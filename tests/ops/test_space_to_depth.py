from __future__ import annotations

from functools import partial

import pytest

from tests.ops.block_cases import blocks, draw_blocks
from tests.ops.case_table import Case, Rng, problem
from tests.ops.case_tests import CaseTests

make = partial(blocks, "space_to_depth")

CASES = [
    make("two", (1, 4, 6, 3), 2),
    make("three", (1, 3, 6, 2), 3),
    make("one", (1, 3, 2, 4), 1),
    make("whole-image", (1, 4, 4, 1), 4),
    make("one-channel", (1, 2, 8, 1), 2),
    make("larger-batch", (2, 4, 2, 3), 2),
]


def random_case(rng: Rng, name: str) -> Case:
    return draw_blocks("space_to_depth", rng, name, lambda h, w, c, n: (1, h * n, w * n, c))


class TestSpaceToDepth(CaseTests):
    cases = CASES
    draw = staticmethod(random_case)


def test_refuses_what_is_no_whole_number_of_blocks() -> None:
    with pytest.raises(ValueError, match="whole number of blocks"):
        problem(make("odd", (1, 3, 3, 3), 2))
