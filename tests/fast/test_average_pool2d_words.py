from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgecnn.fixedpoint import divide_round_half_away
from tests.fast.kernel_table import check_kernel, layer_of, taken
from tests.ops.case_table import random_cases
from tests.ops.test_average_pool2d import CASES, pool, random_pool

STEM = "average_pool2d_words"


def test_cases(tmp_path: Path) -> None:
    cases = taken(STEM, CASES)
    assert len(cases) == len(CASES)
    check_kernel(STEM, cases, tmp_path)


def test_every_number_of_channels(tmp_path: Path) -> None:
    cases = [pool(f"channels{n}", (5, 5, n), (3, 3), (2, 2)) for n in range(1, 40)]
    check_kernel(STEM, cases, tmp_path)


@pytest.mark.parametrize("seed", [11, pytest.param(12, marks=pytest.mark.slow)])
def test_random(seed: int, tmp_path: Path) -> None:
    cases = taken(STEM, random_cases(random_pool, 48, seed))
    assert len(cases) > 45
    check_kernel(STEM, cases, tmp_path)


def test_leaves_sums_that_do_not_fit_int16() -> None:
    assert layer_of(STEM, pool("fits", (15, 17, 4), (15, 17))) is not None
    assert layer_of(STEM, pool("large", (16, 16, 4), (16, 16))) is None


@pytest.mark.parametrize("count", range(1, 256))
def test_reciprocals_round_every_sum(count: int) -> None:
    """The arithmetic of the C, for each sum that a window of a number of values can have."""
    totals = np.arange(-128 * count, 127 * count + 1)
    products = (totals * ((1 << 30) // count + 1)) >> 16
    means = (products + (1 << 13)) >> 14
    assert np.array_equal(means, divide_round_half_away(totals, count))
