from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.ops.slice import Part, SliceAttributes
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


def cut(name: str, shape: tuple[int, ...], *parts: Part | None) -> Case:
    """A part of some shape."""
    return Case(name, "slice", [Value(shape, 0.1, 5)], SliceAttributes(parts))


CASES = [
    cut("channels", (1, 3, 4, 5), None, None, None, Part(1, 3)),
    cut("crop", (1, 5, 6, 2), None, Part(1, 3), Part(2, 4), None),
    cut("every-axis", (2, 5, 6, 3), Part(1, 1), Part(0, 2), Part(5, 1), Part(1, 2)),
    cut("everything", (1, 3, 4, 5), None, None, None, None),
    cut("every-other", (1, 5, 6, 2), None, Part(0, 3, 2), Part(1, 3, 2), None),
    cut("every-third-channel", (1, 2, 2, 7), None, None, None, Part(0, 3, 3)),
    cut("backwards", (1, 4, 3, 2), None, Part(3, 4, -1), None, None),
    cut("backwards-by-two", (1, 6, 3, 2), None, Part(5, 3, -2), Part(2, 2, -1), None),
    cut("backwards-not-to-the-start", (1, 6), None, Part(4, 3, -1)),
    cut("backwards-over-the-start", (1, 6), None, Part(4, 2, -3)),
    cut("rank-1", (9,), Part(2, 4)),
    cut("rank-1-strided", (9,), Part(2, 3, 3)),
    cut("rank-3", (1, 5, 4), None, Part(1, 2, 2), Part(3, 1)),
    cut("rank-5", (1, 3, 2, 4, 3), None, Part(1, 2), None, Part(0, 3), Part(1, 2)),
]


def _random_part(rng: Rng, n: int, *, strided: bool) -> Part | None:
    first, last = (int(i) for i in rng.integers(0, n, 2))
    if rng.random() < 0.3:
        return None
    if not strided:
        return Part(min(first, last), abs(last - first) + 1)
    step = int(rng.integers(1, 4))
    size = abs(last - first) // step + 1
    return Part(first, size, step if last > first else -step)


def random_case(rng: Rng, name: str) -> Case:
    strided = bool(draw(rng, (True, False)))
    shape = tuple(int(n) for n in rng.integers(1, 8, int(rng.integers(1, 5 if strided else 6))))
    parts = tuple(_random_part(rng, n, strided=strided) for n in shape)
    x = Value(shape, draw_scale(rng), draw_zero_point(rng))
    return Case(name, "slice", [x], SliceAttributes(parts))


def test_refuses_steps_in_five_dimensions() -> None:
    case = cut("deep", (1, 1, 1, 1, 4), None, None, None, None, Part(0, 2, 2))
    assert "steps in 5 dimensions" in (problem(case) or "")


def test_refuses_six_dimensions() -> None:
    case = cut("deep", (1, 1, 1, 1, 1, 4), None, None, None, None, None, Part(0, 2))
    assert "6 dimensions" in (problem(case) or "")


def test_cases(tmp_path: Path) -> None:
    check(CASES, tmp_path)


def test_random(tmp_path: Path) -> None:
    check(random_cases(random_case, 48, 1), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 7))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check(random_cases(random_case, 48, seed), tmp_path, seed=seed)
