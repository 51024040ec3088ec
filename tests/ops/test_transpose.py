from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from edgecnn.ops.transpose import TransposeAttributes
from tests.ops.case_table import Case, Rng, Value, check, problem, random_cases


def transpose(shape: tuple[int, ...], permutation: tuple[int, ...]) -> Case:
    """A transposition, named by what it does."""
    name = f"{'x'.join(map(str, shape))}-{''.join(map(str, permutation))}"
    return Case(name, "transpose", [Value(shape, 0.1, 5)], TransposeAttributes(permutation))


#: Every order of the axes of 1 to 4 dimensions.
CASES = [
    transpose((1, 3, 4, 2)[:rank] if rank > 1 else (6,), order)
    for rank in (1, 2, 3, 4)
    for order in itertools.permutations(range(rank))
]
FIVE_DIMENSIONS = [transpose((2, 3, 1, 4, 2), order) for order in itertools.permutations(range(5))]


def random_transpose(rng: Rng, name: str) -> Case:
    rank = int(rng.integers(2, 6))
    shape = tuple(int(n) for n in rng.integers(1, 6, rank))
    order = tuple(int(axis) for axis in rng.permutation(rank))
    return Case(name, "transpose", [Value(shape)], TransposeAttributes(order))


def test_cases(tmp_path: Path) -> None:
    check(CASES, tmp_path)


def test_five_dimensions(tmp_path: Path) -> None:
    check(FIVE_DIMENSIONS, tmp_path, samples=2)


def test_random(tmp_path: Path) -> None:
    check(random_cases(random_transpose, 48, 1), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 7))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check(random_cases(random_transpose, 48, seed), tmp_path, seed=seed)


def test_refuses_six_dimensions() -> None:
    case = transpose((1, 1, 1, 1, 2, 2), tuple(int(i) for i in np.arange(6)))
    assert "6 dimensions" in (problem(case) or "")
