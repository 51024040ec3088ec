from __future__ import annotations

from pathlib import Path

import pytest

from tests.ops.case_table import Case, Rng, draw_scale
from tests.wide.wide_table import WideValue, check, problem, random_cases


def requantize(name: str, scale: float, output: float, size: int = 300) -> Case:
    """int16 to int16; the table has conversions from and to int8 around every case."""
    return Case(name, "requantize", [WideValue((1, size), scale)], output=(output, 0))  # type: ignore[list-item]


CASES = [
    requantize("finer", 0.001, 0.0003),
    requantize("coarser", 0.001, 0.02),
    requantize("same", 0.001, 0.001),
    requantize("half", 0.001, 0.002),
    requantize("saturates", 0.1, 1e-5),
    requantize("vanishes", 1e-6, 1.0),
]


def random_requantize(rng: Rng, name: str) -> Case:
    scale = draw_scale(rng, -18, -5)
    return requantize(name, scale, scale * 2.0 ** float(rng.uniform(-12, 8)))


def test_cases(tmp_path: Path) -> None:
    check(CASES, tmp_path)


def test_random(tmp_path: Path) -> None:
    check(random_cases(random_requantize, 20, 1), tmp_path)


@pytest.mark.slow
def test_many_random(tmp_path: Path) -> None:
    check(random_cases(random_requantize, 100, 2), tmp_path, samples=20)


def test_refuses_a_rescaling_that_overflows() -> None:
    assert "overflows int32" in (problem(requantize("y", 1.0, 1e-6)) or "")
