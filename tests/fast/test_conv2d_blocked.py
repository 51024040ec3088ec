from __future__ import annotations

from pathlib import Path

import pytest

from tests.fast.kernel_table import check_kernel, taken
from tests.ops.case_table import random_cases
from tests.ops.test_conv2d import CASES, random_conv


def test_cases(tmp_path: Path) -> None:
    cases = taken("conv2d_blocked", CASES)
    assert {"pointwise", "same", "dilated", "one-by-n"} <= {case.name for case in cases}
    check_kernel("conv2d_blocked", cases, tmp_path)


@pytest.mark.parametrize("seed", [11, pytest.param(12, marks=pytest.mark.slow)])
def test_random(seed: int, tmp_path: Path) -> None:
    cases = taken("conv2d_blocked", random_cases(random_conv, 48, seed))
    assert len(cases) > 15
    check_kernel("conv2d_blocked", cases, tmp_path)
