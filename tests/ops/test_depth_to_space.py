from __future__ import annotations

from functools import partial

import pytest

from tests.ops.block_cases import blocks, draw_blocks
from tests.ops.case_table import Case, Rng, problem
from tests.ops.case_tests import CaseTests

make = partial(blocks, "depth_to_space")

CASES = [
    make("two", (1, 4, 6, 12), 2),
    make("three", (1, 3, 5, 18), 3),
    make("one", (1, 3, 2, 4), 1),
    make("single-pixel", (1, 1, 1, 16), 4),
    make("one-channel", (1, 2, 3, 4), 2),
    make("larger-batch", (2, 4, 2, 8), 2),
]


def random_case(rng: Rng, name: str) -> Case:
    return draw_blocks("depth_to_space", rng, name, lambda h, w, c, n: (1, h, w, c * n * n))


class TestDepthToSpace(CaseTests):
    cases = CASES
    draw = staticmethod(random_case)


def test_refuses_what_is_no_whole_number_of_blocks() -> None:
    with pytest.raises(ValueError, match="whole number of blocks"):
        problem(make("odd", (1, 3, 3, 3), 2))
