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


def relu(name: str, x: tuple[float, int], output: tuple[float, int]) -> Case:
    """A ReLU from one scale and zero point to another."""
    return Case(name, "relu", [Value((1, 256), *x)], output=output)


CASES = [
    relu("same-scale", (0.05, 3), (0.05, 3)),
    relu("finer", (0.05, 0), (0.025, -128)),
    relu("coarser", (0.05, 0), (0.3, -128)),
    relu("everything-saturates", (1.0, -128), (1e-6, -128)),
    relu("everything-vanishes", (1e-6, -128), (1.0, 100)),
    relu("nothing-is-positive", (0.05, 127), (0.05, 0)),
    # The quotient of the scales leads to another byte in double (TFLM) than in float32.
    relu("ratio-in-double", (0.04840488359332085, -128), (0.04850468784570694, -128)),
    relu("zero-at-the-top", (0.05, 0), (0.05, 127)),
]


def random_relu(rng: Rng, name: str) -> Case:
    scale = draw_scale(rng)
    ratio = 2.0 ** rng.uniform(-20, 20) if rng.random() < 0.3 else rng.uniform(0.3, 3)
    output = (scale * float(ratio), draw_zero_point(rng))
    return relu(name, (scale, draw_zero_point(rng)), output)


def check_all_bytes(cases: list[Case], directory: Path) -> None:
    check(cases, directory, feeds={f"{case.name}/0": all_bytes() for case in cases})


def test_cases(tmp_path: Path) -> None:
    check_all_bytes(CASES, tmp_path)


def test_random(tmp_path: Path) -> None:
    check_all_bytes(random_cases(random_relu, 100, 1), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 3))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check_all_bytes(random_cases(random_relu, 200, seed), tmp_path)


def test_refuses_a_rescaling_that_overflows() -> None:
    assert "overflows int32" in (problem(relu("tiny", (1.0, 0), (1e-9, 0))) or "")
