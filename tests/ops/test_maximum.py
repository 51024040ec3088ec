from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgecnn.ir import Attributes
from tests.ops.binary_cases import (
    BYTES,
    PAIR_SCALES,
    Operand,
    Quants,
    binary,
    check_all_pairs,
    draw_pair,
    shapes_of,
)
from tests.ops.case_table import Case, Constant, Rng, check, problem, random_cases

SHARED: Quants = ((0.05, 3), (0.05, 3), (0.05, 3))


def maximum(name: str, a: Operand, b: Operand, scales: Quants = SHARED) -> Case:
    return binary(name, "maximum", a, b, scales)


CASES = [
    *(maximum(f"shapes-{name}", *shapes) for name, shapes in shapes_of().items()),
    maximum("constant-second", (1, 3, 3, 4), BYTES[:4]),
    maximum("constant-first", BYTES[:4], (1, 3, 3, 4)),
    maximum("constant-of-full-shape", (1, 3, 4), BYTES[:12].reshape(1, 3, 4)),
    maximum("constant-number", (1, 3, 4), BYTES[77:78]),
]


def random_maximum(rng: Rng, name: str) -> Case:
    a, b, (first, *_) = draw_pair(rng)
    return maximum(name, a, b, (first, first, first))


def test_cases(tmp_path: Path) -> None:
    check(CASES, tmp_path)


def test_every_pair(tmp_path: Path) -> None:
    check_all_pairs(
        maximum, {name: (s[0], s[0], s[0]) for name, s in PAIR_SCALES.items()}, tmp_path
    )


def test_random(tmp_path: Path) -> None:
    check(random_cases(random_maximum, 60, 1), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 7))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check(random_cases(random_maximum, 60, seed), tmp_path, seed=seed)


@pytest.mark.slow
def test_every_pair_at_random_scales(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    scales = {f"scales{i}": (draw_pair(rng)[2][0],) * 3 for i in range(16)}
    check_all_pairs(maximum, scales, tmp_path)


def test_refuses_two_constants() -> None:
    constant = Constant(np.zeros((1, 2), np.int8), (0.1,))
    case = Case("both", "maximum", [constant, constant], Attributes(), (0.1, 0))
    assert "constants" in (problem(case) or "")


def test_refuses_many_dimensions() -> None:
    shape = (1, 2, 1, 2, 1, 2)
    assert "6 dimensions" in (problem(maximum("y", shape, shape)) or "")


def test_refuses_scales_that_differ() -> None:
    assert "differ in scale" in (problem(maximum("y", (1, 2), (1, 2), PAIR_SCALES["near"])) or "")
