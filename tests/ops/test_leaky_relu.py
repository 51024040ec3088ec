from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.functions import compute
from edgecnn.ops.leaky_relu import LeakyReluAttributes
from tests.ops.case_table import Case, Rng, problem, random_cases
from tests.ops.unary_cases import Quant, check_all_bytes, draw_quants, largest_error, unary


def leaky_relu(name: str, x: Quant, output: Quant, alpha: float = 0.1) -> Case:
    return unary(name, "leaky_relu", x, output, LeakyReluAttributes(alpha))


CASES = [
    leaky_relu("same-scale", (0.05, 3), (0.05, 3)),
    leaky_relu("finer", (0.05, 0), (0.025, -128)),
    leaky_relu("coarser", (0.05, 0), (0.3, -20)),
    leaky_relu("no-slope", (0.05, 0), (0.04, -20), 0.0),
    leaky_relu("steep", (0.05, 0), (0.4, 20), 7.5),
    leaky_relu("identity", (0.05, 0), (0.05, 0), 1.0),
    leaky_relu("saturates", (1.0, 0), (1e-6, 0)),
    leaky_relu("vanishes", (1e-6, 0), (1.0, 5)),
]


def random_leaky_relu(rng: Rng, name: str) -> Case:
    x, output = draw_quants(rng)
    return leaky_relu(name, x, output, float(rng.uniform(0, 1.5)))


def test_cases(tmp_path: Path) -> None:
    check_all_bytes(CASES, tmp_path)


def test_random(tmp_path: Path) -> None:
    check_all_bytes(random_cases(random_leaky_relu, 60, 1), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 4))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check_all_bytes(random_cases(random_leaky_relu, 150, seed), tmp_path)


def test_bytes_are_near_the_function() -> None:
    parameters = (0.1,)
    assert largest_error(CASES[0], lambda x: compute("leaky_relu", x, parameters)) <= 0.51


def test_refuses_a_negative_slope() -> None:
    assert "slope is -0.5" in (problem(leaky_relu("y", (0.1, 0), (0.1, 0), -0.5)) or "")


def test_refuses_a_rescaling_that_overflows() -> None:
    assert "overflows int32" in (problem(leaky_relu("y", (1.0, 0), (1e-9, 0))) or "")
