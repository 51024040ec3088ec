from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.ops.mirror_pad import MirrorPadAttributes
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

NONE = (0, 0)


def pad(
    name: str, shape: tuple[int, ...], *paddings: tuple[int, int], repeats_edge: bool = False
) -> Case:
    """A mirroring border."""
    attributes = MirrorPadAttributes(paddings, repeats_edge)
    return Case(name, "mirror_pad", [Value(shape, 0.1, 5)], attributes)


CASES = [
    pad("image", (1, 4, 5, 2), NONE, (1, 2), (2, 1), NONE),
    pad("image-with-edge", (1, 4, 5, 2), NONE, (1, 2), (2, 1), NONE, repeats_edge=True),
    pad("widest", (1, 3, 4, 2), NONE, (2, 2), (3, 3), NONE),
    pad("widest-with-edge", (1, 3, 4, 2), NONE, (3, 3), (4, 4), NONE, repeats_edge=True),
    pad("channels", (1, 2, 3, 5), NONE, NONE, NONE, (2, 4)),
    pad("every-axis", (2, 3, 3, 3), (1, 0), (1, 1), (0, 2), (2, 1)),
    pad("single-value-with-edge", (1, 1, 1, 1), NONE, (1, 1), (1, 0), NONE, repeats_edge=True),
    pad("nothing", (1, 2, 2, 1), NONE, NONE, NONE, NONE),
    pad("rank-1", (5,), (4, 2)),
    pad("rank-2", (1, 5), NONE, (2, 1)),
    pad("rank-3", (1, 5, 3), NONE, (2, 4), (1, 0), repeats_edge=True),
]


def random_case(rng: Rng, name: str) -> Case:
    shape = tuple(int(n) for n in rng.integers(1, 7, int(rng.integers(1, 5))))
    edge = bool(draw(rng, (True, False)))
    widest = [n if edge else n - 1 for n in shape]
    paddings = tuple((int(rng.integers(0, n + 1)), int(rng.integers(0, n + 1))) for n in widest)
    x = Value(shape, draw_scale(rng), draw_zero_point(rng))
    return Case(name, "mirror_pad", [x], MirrorPadAttributes(paddings, edge))


def test_refuses_a_border_wider_than_the_image() -> None:
    with pytest.raises(ValueError, match="cannot be mirrored"):
        problem(pad("wide", (1, 4), NONE, (4, 0)))


def test_refuses_five_dimensions() -> None:
    assert "5 dimensions" in (problem(pad("deep", (1, 1, 1, 2, 2), *[NONE] * 5)) or "")


def test_cases(tmp_path: Path) -> None:
    check(CASES, tmp_path)


def test_random(tmp_path: Path) -> None:
    check(random_cases(random_case, 48, 1), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 7))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check(random_cases(random_case, 48, seed), tmp_path, seed=seed)
