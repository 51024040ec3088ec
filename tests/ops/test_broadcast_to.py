from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.ops.broadcast_to import BroadcastToAttributes
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


def broadcast(name: str, shape: tuple[int, ...], target: tuple[int, ...]) -> Case:
    """Repetition of some shape to another."""
    return Case(name, "broadcast_to", [Value(shape, 0.1, 5)], BroadcastToAttributes(target))


CASES = [
    broadcast("pixel-to-image", (1, 1, 1, 3), (1, 4, 5, 3)),
    broadcast("channel", (1, 2, 3, 1), (1, 2, 3, 4)),
    broadcast("row", (1, 1, 3, 2), (1, 4, 3, 2)),
    broadcast("every-axis", (1, 1, 1, 1), (2, 3, 4, 5)),
    broadcast("every-other-axis", (1, 3, 1, 4, 1), (2, 3, 2, 4, 3)),
    broadcast("new-axes", (3,), (1, 2, 3)),
    broadcast("nothing", (1, 2, 3), (1, 2, 3)),
    broadcast("rank-1", (1,), (6,)),
]


def random_case(rng: Rng, name: str) -> Case:
    target = tuple(int(n) for n in rng.integers(1, 5, int(rng.integers(1, 6))))
    shape = tuple(n if rng.random() < 0.5 else 1 for n in target)[int(rng.integers(0, 2)) :]
    x = Value(shape or (1,), draw_scale(rng), draw_zero_point(rng))
    return Case(name, "broadcast_to", [x], BroadcastToAttributes(target))


def test_refuses_six_dimensions() -> None:
    assert "6 dimensions" in (problem(broadcast("deep", (1,) * 6, (2,) * 6)) or "")


def test_cases(tmp_path: Path) -> None:
    check(CASES, tmp_path)


def test_random(tmp_path: Path) -> None:
    check(random_cases(random_case, 48, 1), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 7))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check(random_cases(random_case, 48, seed), tmp_path, seed=seed)
