from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from edgecnn.ops.reduce_max import ReduceMaxAttributes
from tests.ops.case_table import (
    Case,
    Rng,
    Value,
    check,
    draw,
    draw_scale,
    draw_zero_point,
    problem,
    random_cases,
)


def reduce(
    name: str, shape: tuple[int, ...], axes: tuple[int, ...], keep_dims: bool = False
) -> Case:
    """A reduction of some axes of some shape."""
    x = Value(shape, 0.05, 3)
    return Case(name, "reduce_max", [x], ReduceMaxAttributes(axes, keep_dims))


#: Every set of axes of four but the batch.
AXES = [axes for n in (1, 2, 3) for axes in itertools.combinations(range(1, 4), n)]

CASES = [
    *(reduce(f"axes-{a}", (1, 5, 3, 7), a) for a in AXES),
    *(reduce(f"axes-{a}-kept", (1, 5, 3, 7), a, True) for a in AXES),
    reduce("rank-2", (1, 17), (1,), True),
    reduce("rank-3", (1, 9, 5), (1,)),
    reduce("one-value", (1, 1, 1, 5), (1, 2)),
    reduce("many-values", (1, 64, 64, 2), (1, 2)),
    reduce("batch-too", (1, 4, 4, 3), (0, 1, 2), True),
]


def random_case(rng: Rng, name: str) -> Case:
    shape = (1, *(int(n) for n in rng.integers(1, 9, int(rng.integers(1, 4)))))
    count = int(rng.integers(1, len(shape)))
    axes = tuple(sorted(int(a) for a in rng.choice(range(1, len(shape)), count, replace=False)))
    attributes = ReduceMaxAttributes(
        axes, bool(draw(rng, (True, False)) or len(axes) + 1 == len(shape))
    )
    x = Value(shape, draw_scale(rng), draw_zero_point(rng))
    return Case(name, "reduce_max", [x], attributes)


def test_refuses_five_dimensions() -> None:
    assert "5 dimensions" in (problem(reduce("deep", (1, 2, 2, 2, 2), (1,))) or "")


def test_cases(tmp_path: Path) -> None:
    check(CASES, tmp_path)


def test_random(tmp_path: Path) -> None:
    check(random_cases(random_case, 48, 1), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 7))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check(random_cases(random_case, 48, seed), tmp_path, seed=seed)
