from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgecnn.ops.mul import MulAttributes
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
from tests.ops.case_table import (
    ACTIVATIONS,
    Case,
    Constant,
    Rng,
    check,
    draw,
    problem,
    random_cases,
)


def mul(
    name: str,
    a: Operand,
    b: Operand,
    scales: Quants = PAIR_SCALES["near"],
    activation: str = "none",
) -> Case:
    return binary(name, "mul", a, b, scales, MulAttributes(activation))


CASES = [
    *(mul(f"shapes-{name}", *shapes) for name, shapes in shapes_of().items()),
    mul("constant-second", (1, 3, 3, 4), BYTES[:4]),
    mul("constant-first", BYTES[:4], (1, 3, 3, 4)),
    mul("constant-of-full-shape", (1, 3, 4), BYTES[:12].reshape(1, 3, 4)),
    mul("constant-number", (1, 3, 4), BYTES[77:78]),
    *(mul(f"fused-{a}", (1, 300), (1, 300), activation=a) for a in ACTIVATIONS),
]


def random_mul(rng: Rng, name: str) -> Case:
    return mul(name, *draw_pair(rng, product=True), activation=draw(rng, ACTIVATIONS))


def test_cases(tmp_path: Path) -> None:
    check(CASES, tmp_path)


def test_every_pair(tmp_path: Path) -> None:
    check_all_pairs(mul, PAIR_SCALES, tmp_path)


def test_random(tmp_path: Path) -> None:
    check(random_cases(random_mul, 60, 1), tmp_path)


@pytest.mark.parametrize("seed", range(2, 6))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check(random_cases(random_mul, 60, seed), tmp_path, seed=seed)


@pytest.mark.slow
def test_every_pair_at_random_scales(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    scales = {f"scales{i}": draw_pair(rng, product=True)[2] for i in range(16)}
    check_all_pairs(mul, scales, tmp_path)


def test_refuses_two_constants() -> None:
    constant = Constant(np.zeros((1, 2), np.int8), (0.1,))
    case = Case("both", "mul", [constant, constant], MulAttributes(), (0.1, 0))
    assert "constants" in (problem(case) or "")


def test_refuses_many_dimensions() -> None:
    shape = (1, 2, 1, 2, 1, 2)
    assert "6 dimensions" in (problem(mul("y", shape, shape)) or "")


def test_refuses_an_output_scale_that_cannot_be_reached() -> None:
    case = mul("tiny", (1, 2), (1, 2), ((1.0, 0), (1.0, 0), (1e-9, 0)))
    assert "overflows int32" in (problem(case) or "")
