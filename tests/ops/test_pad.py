from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgecnn.ops.pad import PadAttributes
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


def pad(
    name: str,
    shape: tuple[int, ...],
    paddings: tuple[tuple[int, int], ...],
    value: float = 0.0,
    zero_point: int = 3,
) -> Case:
    """A constant border."""
    x = Value(shape, 0.05, zero_point)
    return Case(name, "pad", [x], PadAttributes(paddings, value))


NONE = (0, 0)
CASES = [
    pad("image", (1, 4, 3, 2), (NONE, (1, 2), (3, 0), NONE)),
    pad("channels", (1, 4, 3, 2), (NONE, NONE, NONE, (2, 4))),
    pad("every-axis", (1, 2, 3, 2), ((1, 1), (1, 0), (0, 1), (2, 1))),
    pad("rank-1", (5,), ((2, 1),)),
    pad("rank-2", (1, 5), (NONE, (2, 1))),
    pad("rank-3", (1, 5, 3), (NONE, (2, 1), (0, 4))),
    pad("nothing", (1, 2, 2, 1), (NONE, NONE, NONE, NONE)),
    pad("value", (1, 2, 2, 1), (NONE, (1, 1), (1, 1), NONE), 1.5),
    pad("value-out-of-range", (1, 2, 2, 1), (NONE, (1, 1), (1, 1), NONE), 1e9),
    pad("lowest", (1, 2, 2, 1), (NONE, (1, 1), (1, 1), NONE), -np.inf),
    pad("value-between-two-bytes", (1, 2, 2, 1), (NONE, (1, 1), (1, 1), NONE), 0.125),
    pad("value-that-rounds-to-zero", (1, 2, 2, 1), (NONE, (1, 1), (1, 1), NONE), 0.001, -128),
]


def random_pad(rng: Rng, name: str) -> Case:
    shape = (1, *(int(n) for n in rng.integers(1, 6, int(rng.integers(1, 4)))))
    before, after = rng.integers(0, 4, (2, len(shape)))
    paddings = tuple((int(b), int(a)) for b, a in zip(before, after, strict=True))
    value = draw(rng, (0.0, 0.0, float(rng.uniform(-20, 20))))
    x = Value(shape, draw_scale(rng), draw_zero_point(rng))
    return Case(name, "pad", [x], PadAttributes(paddings, value))


def test_cases(tmp_path: Path) -> None:
    check(CASES, tmp_path)


def test_random(tmp_path: Path) -> None:
    check(random_cases(random_pad, 48, 1), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 7))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check(random_cases(random_pad, 48, seed), tmp_path, seed=seed)


def test_refuses_cropping() -> None:
    assert "crops" in (problem(pad("crop", (1, 4), (NONE, (-1, 0)))) or "")


def test_refuses_five_dimensions() -> None:
    assert "5 dimensions" in (problem(pad("deep", (1, 1, 2, 2, 1), (NONE,) * 5)) or "")
