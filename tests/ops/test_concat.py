from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from edgecnn.ops.concat import ConcatAttributes
from tests.ops.case_table import (
    Case,
    Constant,
    Rng,
    Value,
    check,
    draw_scale,
    draw_zero_point,
    problem,
    random_cases,
)


def concat(name: str, axis: int, *shapes: tuple[int, ...]) -> Case:
    """Inputs of some shapes, all of one scale."""
    return Case(name, "concat", [Value(s, 0.1, 5) for s in shapes], ConcatAttributes(axis))


def with_constant(name: str, position: int) -> Case:
    """Two inputs and a constant between, before or after them."""
    data = np.arange(-12, 12).astype(np.int8).reshape(1, 2, 3, 4)
    inputs: list[Value | Constant] = [Value((1, 2, 3, 2), 0.1, 5), Value((1, 2, 3, 1), 0.1, 5)]
    inputs.insert(position, Constant(data, (0.1,), 5))
    return Case(name, "concat", inputs, ConcatAttributes(3), (0.1, 5))


CASES = [
    concat("channels", 3, (1, 2, 3, 4), (1, 2, 3, 1)),
    concat("width", 2, (1, 2, 3, 4), (1, 2, 1, 4), (1, 2, 5, 4)),
    concat("height", 1, (1, 2, 3, 4), (1, 7, 3, 4)),
    concat("first-axis", 0, (1, 2, 3), (3, 2, 3)),
    concat("one-input", 1, (1, 5)),
    concat("ten-inputs", 3, *[(1, 2, 2, n) for n in range(1, 11)]),
    concat("rank-1", 0, (5,), (3,)),
    concat("rank-5", 3, (1, 2, 2, 3, 2), (1, 2, 2, 1, 2)),
    with_constant("constant-first", 0),
    with_constant("constant-between", 1),
    with_constant("constant-last", 2),
]


def random_case(rng: Rng, name: str) -> Case:
    rank = int(rng.integers(1, 6))
    axis, shape = int(rng.integers(rank)), [int(n) for n in rng.integers(1, 5, rank)]
    x = (draw_scale(rng), draw_zero_point(rng))
    shapes: Sequence[tuple[int, ...]] = [
        (*shape[:axis], int(n), *shape[axis + 1 :])
        for n in rng.integers(1, 6, int(rng.integers(2, 6)))
    ]
    return Case(name, "concat", [Value(s, *x) for s in shapes], ConcatAttributes(axis))


def test_refuses_unequal_scales() -> None:
    inputs = [Value((1, 4), 0.1, 5), Value((1, 4), 0.2, 5)]
    assert "differ in scale" in (problem(Case("x", "concat", inputs, ConcatAttributes(1))) or "")


def test_refuses_eleven_inputs() -> None:
    assert "11 inputs" in (problem(concat("x", 1, *[(1, 2)] * 11)) or "")


def test_refuses_six_dimensions() -> None:
    assert "6 dimensions" in (problem(concat("x", 1, *[(1, 1, 1, 1, 1, 2)] * 2)) or "")


def test_cases(tmp_path: Path) -> None:
    check(CASES, tmp_path)


def test_random(tmp_path: Path) -> None:
    check(random_cases(random_case, 48, 1), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 7))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check(random_cases(random_case, 48, seed), tmp_path, seed=seed)
