from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from edgecnn.ops.mean import MeanAttributes
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


def mean(
    name: str,
    shape: tuple[int, ...],
    axes: tuple[int, ...],
    keep_dims: bool = False,
    *,
    zero_point: int = 3,
    scale: float = 0.05,
    output: tuple[float, int] = (0.04, -10),
) -> Case:
    """A mean over some axes of some shape."""
    x = Value(shape, scale, zero_point)
    return Case(name, "mean", [x], MeanAttributes(axes, keep_dims), output)


#: Every set of axes of four that leaves one, or keeps its place.
AXES = [axes for n in (1, 2, 3) for axes in itertools.combinations(range(1, 4), n)]

CASES = [
    *(mean(f"axes-{a}", (1, 5, 3, 7), a) for a in AXES),
    *(mean(f"axes-{a}-kept", (1, 5, 3, 7), a, True) for a in AXES),
    mean("rank-2", (1, 17), (1,), True),
    mean("rank-3", (1, 9, 5), (1,)),
    mean("global-same-scale", (1, 7, 7, 5), (1, 2), output=(0.05, 3)),
    mean("one-value", (1, 1, 1, 5), (1, 2)),
    mean("many-values", (1, 64, 64, 2), (1, 2)),
    mean("right-shift-of-31-at-most", (1, 64, 64, 2), (1, 2), output=(0.05 * 2.0**30, 7)),
    # The quotient of the scales leads to another byte in float32.
    mean(
        "ratio-in-double",
        (1, 1, 1, 256),
        (1, 2),
        zero_point=-128,
        scale=0.04840488359332085,
        output=(0.04850468784570694, -128),
    ),
    mean("batch-too", (1, 4, 4, 3), (0, 1, 2), True),
    mean("zero-points-far-apart", (1, 7, 7, 3), (1, 2), zero_point=-128, output=(0.05, 127)),
]


def random_mean(rng: Rng, name: str) -> Case:
    shape = (1, *(int(n) for n in rng.integers(1, 12, 3)))
    x = Value(shape, draw_scale(rng), draw_zero_point(rng))
    ratio = 2.0 ** rng.uniform(-12, 12) if rng.random() < 0.2 else rng.uniform(0.2, 1.5)
    output = (x.scale * float(ratio), draw_zero_point(rng))
    attributes = MeanAttributes(draw(rng, AXES), bool(rng.random() < 0.5))
    return Case(name, "mean", [x], attributes, output)


def test_cases(tmp_path: Path) -> None:
    check(CASES, tmp_path, samples=30)


def test_random(tmp_path: Path) -> None:
    check(random_cases(random_mean, 60, 1), tmp_path, samples=20)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 6))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check(random_cases(random_mean, 60, seed), tmp_path, samples=20, seed=seed)


def test_refuses_five_dimensions() -> None:
    assert "5 dimensions" in (problem(mean("deep", (1, 2, 2, 2, 2), (1, 2))) or "")


def test_refuses_sums_that_overflow() -> None:
    assert "overflow" in (problem(mean("vast", (1, 4000, 4000, 1), (1, 2))) or "")


def test_refuses_a_rescaling_that_overflows() -> None:
    case = mean("tiny", (1, 4, 4, 2), (1, 2), output=(1e-10, 0))
    assert "overflows int32" in (problem(case) or "")
