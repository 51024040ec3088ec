from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.ops.split import SplitAttributes
from tests.ops.case_table import (
    Case,
    Rng,
    Value,
    check,
    draw,
    draw_scale,
    draw_zero_point,
    random_cases,
)


def split(name: str, shape: tuple[int, ...], axis: int, *sizes: int) -> Case:
    """A split of some shape into parts of some sizes."""
    return Case(name, "split", [Value(shape, 0.1, 5)], SplitAttributes(axis, sizes))


CASES = [
    split("halves-of-channels", (1, 3, 2, 6), 3, 3, 3),
    split("thirds-of-width", (1, 3, 6, 2), 2, 2, 2, 2),
    split("height", (1, 5, 2, 3), 1, 1, 4),
    split("first-axis", (4, 3), 0, 2, 2),
    split("uneven", (1, 2, 2, 9), 3, 2, 3, 4),
    split("single-values", (1, 2, 2, 5), 3, 1, 1, 1, 1, 1),
    split("rank-1", (7,), 0, 3, 4),
    split("rank-2", (1, 7), 1, 3, 3, 1),
    split("whole", (1, 2, 3), 2, 3),
    split("twelve-parts", (1, 12, 2), 1, *[1] * 12),
]


def random_case(rng: Rng, name: str) -> Case:
    rank = int(rng.integers(1, 5))
    axis, count = int(rng.integers(rank)), int(rng.integers(2, 6))
    sizes = tuple(int(n) for n in rng.integers(1, 5, count))
    sizes = draw(rng, (sizes, sizes[:1] * count))
    shape = [int(n) for n in rng.integers(1, 6, rank)]
    shape[axis] = sum(sizes)
    x = Value(tuple(shape), draw_scale(rng), draw_zero_point(rng))
    return Case(name, "split", [x], SplitAttributes(axis, sizes))


def test_cases(tmp_path: Path) -> None:
    check(CASES, tmp_path)


def test_random(tmp_path: Path) -> None:
    check(random_cases(random_case, 48, 1), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 7))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check(random_cases(random_case, 48, seed), tmp_path, seed=seed)
