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
from tests.ops.case_table import Case, Constant, Rng, Value, check, problem, random_cases


def squared_difference(
    name: str, a: Operand, b: Operand, scales: Quants = PAIR_SCALES["near"]
) -> Case:
    return binary(name, "squared_difference", a, b, scales)


CASES = [
    *(squared_difference(f"shapes-{name}", *shapes) for name, shapes in shapes_of().items()),
    squared_difference("constant-second", (1, 3, 3, 4), BYTES[:4]),
    squared_difference("constant-first", BYTES[:4], (1, 3, 3, 4)),
    squared_difference("constant-of-full-shape", (1, 3, 4), BYTES[:12].reshape(1, 3, 4)),
    squared_difference("constant-number", (1, 3, 4), BYTES[77:78]),
]


def random_squared_difference(rng: Rng, name: str) -> Case:
    return squared_difference(name, *draw_pair(rng, product=True))


def test_cases(tmp_path: Path) -> None:
    check(CASES, tmp_path)


def test_every_pair(tmp_path: Path) -> None:
    check_all_pairs(squared_difference, PAIR_SCALES, tmp_path)


def test_random(tmp_path: Path) -> None:
    check(random_cases(random_squared_difference, 60, 1), tmp_path)


@pytest.mark.parametrize("seed", range(2, 6))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check(random_cases(random_squared_difference, 60, seed), tmp_path, seed=seed)


@pytest.mark.slow
def test_every_pair_at_random_scales(tmp_path: Path) -> None:
    cases = random_cases(
        lambda rng, name: squared_difference(name, (1, 2), (1, 2), draw_pair(rng, product=True)[2]),
        16,
        1,
    )
    scales = {}
    for case in cases:
        a, b = case.inputs
        assert isinstance(a, Value)
        assert isinstance(b, Value)
        assert case.output is not None
        scales[case.name] = ((a.scale, a.zero_point), (b.scale, b.zero_point), case.output)
    check_all_pairs(squared_difference, scales, tmp_path)


def test_refuses_two_constants() -> None:
    constant = Constant(np.zeros((1, 2), np.int8), (0.1,))
    case = Case("both", "squared_difference", [constant, constant], Attributes(), (0.1, 0))
    assert "constants" in (problem(case) or "")


def test_refuses_many_dimensions() -> None:
    shape = (1, 2, 1, 2, 1, 2)
    assert "6 dimensions" in (problem(squared_difference("y", shape, shape)) or "")


def test_refuses_an_output_scale_that_cannot_be_reached() -> None:
    case = squared_difference("tiny", (1, 2), (1, 2), ((1.0, 0), (1.0, 0), (1e-9, 0)))
    assert "overflows int32" in (problem(case) or "")
