from __future__ import annotations

from pathlib import Path

import pytest

from tests.ops.case_table import (
    Case,
    Rng,
    Value,
    all_bytes,
    check,
    draw_scale,
    draw_zero_point,
    problem,
    random_cases,
)


def relu6(name: str, scale: float, zero_point: int) -> Case:
    """A ReLU6 of the 256 bytes."""
    return Case(name, "relu6", [Value((1, 256), scale, zero_point)])


CASES = [
    relu6("plain", 0.05, 3),
    relu6("six-is-out-of-range", 0.01, 0),
    relu6("six-is-the-top", 6 / 255, -128),
    relu6("six-falls-between-two-bytes", 12 / 201, -50),
    # 6 / scale is a little under a half in double, and a half in float32.
    relu6("six-over-scale-in-float32", 1.3333333730697632, 0),
    relu6("coarse", 100.0, 0),
    relu6("fine", 1e-7, 0),
    relu6("zero-at-the-top", 0.05, 127),
    relu6("zero-at-the-bottom", 0.05, -128),
]


def random_relu6(rng: Rng, name: str) -> Case:
    return relu6(name, draw_scale(rng), draw_zero_point(rng))


def check_all_bytes(cases: list[Case], directory: Path) -> None:
    check(cases, directory, feeds={f"{case.name}/0": all_bytes() for case in cases})


def test_cases(tmp_path: Path) -> None:
    check_all_bytes(CASES, tmp_path)


def test_random(tmp_path: Path) -> None:
    check_all_bytes(random_cases(random_relu6, 100, 1), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 3))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check_all_bytes(random_cases(random_relu6, 200, seed), tmp_path)


def test_refuses_an_output_of_another_scale() -> None:
    case = Case("rescaled", "relu6", [Value((1, 4))], output=(0.1, 0))
    assert "differ in scale" in (problem(case) or "")
