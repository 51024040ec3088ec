from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.ops.reshape import ReshapeAttributes
from tests.ops.case_table import Case, Rng, Value, check, problem, random_cases


def reshape(name: str, shape: tuple[int, ...], new: tuple[int, ...]) -> Case:
    """A reshape."""
    return Case(name, "reshape", [Value(shape, 0.1, 5)], ReshapeAttributes(new))


CASES = [
    reshape("flatten", (1, 3, 4, 2), (1, 24)),
    reshape("unflatten", (1, 24), (1, 3, 4, 2)),
    reshape("squeeze", (1, 1, 1, 7), (1, 7)),
    reshape("to-rank-1", (1, 6), (6,)),
    reshape("to-rank-6", (1, 24), (1, 2, 3, 1, 2, 2)),
    reshape("rows", (1, 24), (4, 6)),
    reshape("nothing", (1, 5), (1, 5)),
]


def random_reshape(rng: Rng, name: str) -> Case:
    factors = [int(n) for n in rng.integers(1, 6, int(rng.integers(1, 5)))]
    new = tuple(factors[i] for i in rng.permutation(len(factors)))
    return Case(name, "reshape", [Value((1, *factors))], ReshapeAttributes((*new, 1)))


def test_cases(tmp_path: Path) -> None:
    check(CASES, tmp_path)


def test_random(tmp_path: Path) -> None:
    check(random_cases(random_reshape, 48, 1), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 7))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check(random_cases(random_reshape, 48, seed), tmp_path, seed=seed)


def test_refuses_an_output_of_another_scale() -> None:
    case = Case("rescaled", "reshape", [Value((1, 4))], ReshapeAttributes((4,)), (0.1, 0))
    assert "differ in scale" in (problem(case) or "")
