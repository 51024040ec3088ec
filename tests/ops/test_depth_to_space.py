from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.ops.depth_to_space import DepthToSpaceAttributes
from tests.ops.case_table import (
    Case,
    Rng,
    Value,
    check,
    draw_scale,
    draw_zero_point,
    problem,
    random_cases,
)


def blocks(name: str, shape: tuple[int, int, int, int], block: int) -> Case:
    """Blocks of an image of some shape."""
    return Case(name, "depth_to_space", [Value(shape, 0.1, 5)], DepthToSpaceAttributes(block))


CASES = [
    blocks("two", (1, 4, 6, 12), 2),
    blocks("three", (1, 3, 5, 18), 3),
    blocks("one", (1, 3, 2, 4), 1),
    blocks("single-pixel", (1, 1, 1, 16), 4),
    blocks("one-channel", (1, 2, 3, 4), 2),
    blocks("larger-batch", (2, 4, 2, 8), 2),
]


def random_case(rng: Rng, name: str) -> Case:
    block, (h, w, c) = int(rng.integers(1, 5)), (int(n) for n in rng.integers(1, 5, 3))
    shape = (1, h, w, c * block * block)
    x = Value(shape, draw_scale(rng), draw_zero_point(rng))
    return Case(name, "depth_to_space", [x], DepthToSpaceAttributes(block))


def test_refuses_what_is_no_whole_number_of_blocks() -> None:
    with pytest.raises(ValueError, match="whole number of blocks"):
        problem(blocks("odd", (1, 3, 3, 3), 2))


def test_cases(tmp_path: Path) -> None:
    check(CASES, tmp_path)


def test_random(tmp_path: Path) -> None:
    check(random_cases(random_case, 48, 1), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 7))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check(random_cases(random_case, 48, seed), tmp_path, seed=seed)
