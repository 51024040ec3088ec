from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.functions import compute
from tests.ops.case_table import Case, Rng, problem, random_cases
from tests.ops.unary_cases import Quant, check_all_bytes, draw_quants, largest_error, unary

FIXED: Quant = (1 / 128, 0)


def tanh(name: str, x: Quant, output: Quant = FIXED) -> Case:
    return unary(name, "tanh", x, output)


CASES = [
    tanh("typical", (0.05, 3)),
    tanh("one-sided", (0.02, -128)),
    tanh("other-side", (0.02, 127)),
    tanh("steep", (3.0, 10)),
    tanh("at-the-radius", (15 / 128, 0)),
    tanh("power-of-two", (1 / 16, 0)),
    tanh("flat", (1e-6, 0)),
    tanh("vast", (1e6, 3)),
]


def random_tanh(rng: Rng, name: str) -> Case:
    x, _ = draw_quants(rng)
    return tanh(name, x)


def test_cases(tmp_path: Path) -> None:
    check_all_bytes(CASES, tmp_path)


def test_random(tmp_path: Path) -> None:
    check_all_bytes(random_cases(random_tanh, 60, 1), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 4))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check_all_bytes(random_cases(random_tanh, 150, seed), tmp_path)


def test_bytes_are_near_the_function() -> None:
    parameters = ()
    assert largest_error(CASES[0], lambda x: compute("tanh", x, parameters)) <= 1.0


def test_refuses_another_output_scale() -> None:
    assert "its output scale is not" in (problem(tanh("y", (0.1, 0), (0.1, 0))) or "")


def test_refuses_a_vanishing_input_scale() -> None:
    assert "under 2**-58" in (problem(tanh("y", (1e-20, 0))) or "")
