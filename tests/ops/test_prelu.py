from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgecnn.ir import Array, Shape
from tests.ops.binary_cases import BYTES, PAIR_SCALES, Quants, binary, draw_pair
from tests.ops.case_table import Case, Rng, check, draw, problem, random_cases


def prelu(name: str, x: Shape, slope: Array, scales: Quants = PAIR_SCALES["near"]) -> Case:
    return binary(name, "prelu", x, slope, scales)


#: 256 inputs times 256 slopes: every pair.
SQUARE = BYTES.reshape(1, 1, 256)
CASES = [
    prelu("channel", (1, 3, 4, 6), BYTES[100:106]),
    prelu("channel-of-rank-4", (1, 3, 4, 6), BYTES[100:106].reshape(1, 1, 1, 6)),
    prelu("channel-of-vector", (1, 6), BYTES[100:106]),
    prelu("one", (1, 3, 4, 6), BYTES[20:21]),
    prelu("map", (1, 3, 4, 6), BYTES[100:112].reshape(1, 3, 4, 1)),
    prelu("full", (1, 3, 4, 2), BYTES[100:124].reshape(1, 3, 4, 2)),
    prelu("rank-3", (1, 4, 6), BYTES[100:106]),
]


def random_prelu(rng: Rng, name: str) -> Case:
    _, _, scales = draw_pair(rng)
    shape = (1, *(int(n) for n in rng.integers(1, 7, 3)))
    slope_shape = draw(rng, ((shape[-1],), (1, 1, 1, shape[-1]), shape))
    return prelu(name, shape, rng.integers(-128, 128, slope_shape, dtype=np.int8), scales)


def check_all_pairs(scales: dict[str, Quants], directory: Path) -> None:
    cases = [prelu(name, (1, 256, 256), SQUARE, s) for name, s in scales.items()]
    inputs = np.broadcast_to(BYTES.reshape(1, 1, 256, 1), (1, 1, 256, 256))
    check(cases, directory, feeds={f"{case.name}/0": inputs for case in cases})


def test_cases(tmp_path: Path) -> None:
    check(CASES, tmp_path)


def test_every_pair(tmp_path: Path) -> None:
    check_all_pairs(PAIR_SCALES, tmp_path)


def test_random(tmp_path: Path) -> None:
    check(random_cases(random_prelu, 60, 1), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 6))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check(random_cases(random_prelu, 60, seed), tmp_path, seed=seed)


def test_refuses_a_computed_slope() -> None:
    case = binary("y", "prelu", (1, 4), (1, 4), PAIR_SCALES["near"])
    assert "must be constant" in (problem(case) or "")


def test_refuses_a_slope_that_is_larger_than_the_input() -> None:
    assert "more values" in (problem(prelu("y", (1, 4), BYTES[:8].reshape(2, 4))) or "")


def test_refuses_many_dimensions() -> None:
    assert "5 dimensions" in (problem(prelu("y", (1, 1, 1, 1, 4), BYTES[:4])) or "")


def test_refuses_an_output_scale_that_cannot_be_reached() -> None:
    case = prelu("y", (1, 4), BYTES[:4], ((1.0, 0), (1.0, 0), (1e-9, 0)))
    assert "overflows int32" in (problem(case) or "")
