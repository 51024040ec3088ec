from __future__ import annotations

from pathlib import Path

import pytest

from tests.ops.case_table import Case, Rng, problem, random_cases
from tests.ops.unary_cases import Quant, check_all_bytes, draw_quants, largest_error, unary


def requantize(name: str, x: Quant, output: Quant) -> Case:
    return unary(name, "requantize", x, output)


CASES = [
    requantize("finer", (0.05, 3), (0.03, -20)),
    requantize("coarser", (0.05, 3), (0.4, -20)),
    requantize("same", (0.05, 3), (0.05, 3)),
    requantize("shifted", (0.05, -128), (0.05, 0)),
    requantize("half", (0.05, 0), (0.1, 0)),
    requantize("saturates", (1.0, 0), (1e-6, 0)),
    requantize("vanishes", (1e-6, 0), (1.0, 5)),
]


def random_requantize(rng: Rng, name: str) -> Case:
    return requantize(name, *draw_quants(rng))


def test_cases(tmp_path: Path) -> None:
    check_all_bytes(CASES, tmp_path)


def test_random(tmp_path: Path) -> None:
    check_all_bytes(random_cases(random_requantize, 60, 1), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 4))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check_all_bytes(random_cases(random_requantize, 150, seed), tmp_path)


def test_bytes_are_the_nearest() -> None:
    assert largest_error(CASES[0], lambda x: x) <= 0.51


def test_refuses_a_rescaling_that_overflows() -> None:
    assert "overflows int32" in (problem(requantize("y", (1.0, 0), (1e-9, 0))) or "")
