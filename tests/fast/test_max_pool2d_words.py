from __future__ import annotations

from pathlib import Path

import pytest

from tests.fast.kernel_table import check_kernel, taken
from tests.ops.case_table import random_cases
from tests.ops.test_max_pool2d import CASES, pool, random_pool

STEM = "max_pool2d_words"


def test_cases(tmp_path: Path) -> None:
    check_kernel(STEM, CASES, tmp_path)


def test_every_number_of_channels(tmp_path: Path) -> None:
    cases = [pool(f"channels{n}", (5, 5, n), (3, 3), (2, 2)) for n in range(1, 40)]
    check_kernel(STEM, cases, tmp_path)


@pytest.mark.parametrize("seed", [11, pytest.param(12, marks=pytest.mark.slow)])
def test_random(seed: int, tmp_path: Path) -> None:
    cases = taken(STEM, random_cases(random_pool, 48, seed))
    assert len(cases) > 45
    check_kernel(STEM, cases, tmp_path)
