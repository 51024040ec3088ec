from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.functions import compute
from tests.ops.case_table import Case, Rng, problem, random_cases
from tests.ops.unary_cases import Quant, check_all_bytes, draw_quants, largest_error, unary


def hard_swish(name: str, x: Quant, output: Quant) -> Case:
    return unary(name, "hard_swish", x, output)


CASES = [
    hard_swish("typical", (0.05, 3), (0.04, -20)),
    hard_swish("one-sided", (0.02, -128), (0.02, -128)),
    hard_swish("negative", (0.02, 127), (0.01, 60)),
    hard_swish("steep", (1.0, 10), (0.5, -100)),
    hard_swish("coarse", (0.05, 0), (7.0, 0)),
    hard_swish("fine", (0.05, 0), (0.001, 0)),
    hard_swish("flat", (1e-5, 0), (1e-5, 0)),
    hard_swish("power-of-two", (1 / 16, 0), (1 / 16, 0)),
]


def random_hard_swish(rng: Rng, name: str) -> Case:
    x, output = draw_quants(rng)
    return hard_swish(name, x, output)


def test_cases(tmp_path: Path) -> None:
    check_all_bytes(CASES, tmp_path)


def test_random(tmp_path: Path) -> None:
    check_all_bytes(random_cases(random_hard_swish, 60, 1), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 4))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check_all_bytes(random_cases(random_hard_swish, 150, seed), tmp_path)


def test_bytes_are_near_the_function() -> None:
    parameters = ()
    assert largest_error(CASES[0], lambda x: compute("hard_swish", x, parameters)) <= 2.0


def test_refuses_an_output_scale_that_its_arithmetic_cannot_reach() -> None:
    assert "128 times smaller" in (problem(hard_swish("y", (1.0, 0), (0.001, 0))) or "")


def test_refuses_scales_that_16_bits_cannot_bridge() -> None:
    assert "256 times larger" in (problem(hard_swish("y", (0.001, 0), (1.0, 0))) or "")
    assert "kernel's shifts" in (problem(hard_swish("y", (1e-8, 0), (1e-8, 0))) or "")
