from __future__ import annotations

from pathlib import Path

import pytest

from firmware_export.device.cores import CORES
from firmware_export.winograd import F4
from tests.fast.kernel_table import M0PLUS, check_kernel, layer_of, taken
from tests.fast.winograd_cases import OTHERS, WIDE, random_case, worst
from tests.ops.case_table import Case, random_cases
from tests.ops.test_conv2d import CASES

KERNEL = "conv2d_winograd4_small"


@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m3"])
def test_cases(core: str, tmp_path: Path) -> None:
    cases = taken(KERNEL, CASES, CORES[core])
    assert {"same", "zero-point-at-the-bottom"} <= {case.name for case in cases}
    check_kernel(KERNEL, [*cases, *WIDE], tmp_path, core=CORES[core])


@pytest.mark.parametrize("seed", [41])
def test_random(seed: int, tmp_path: Path) -> None:
    cases = taken(KERNEL, random_cases(random_case, 40, seed), M0PLUS)
    assert len(cases) > 20
    check_kernel(KERNEL, cases, tmp_path, core=M0PLUS)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(42, 50))
def test_many_random(seed: int, tmp_path: Path) -> None:
    cases = taken(KERNEL, random_cases(random_case, 40, seed), M0PLUS)
    check_kernel(KERNEL, cases, tmp_path, core=M0PLUS, samples=9)


@pytest.mark.parametrize("channels", [4, 7])
def test_worst(channels: int, tmp_path: Path) -> None:
    case, feeds = worst(F4, channels)
    check_kernel(KERNEL, [case], tmp_path, core=M0PLUS, feeds=feeds)


@pytest.mark.parametrize("case", OTHERS, ids=lambda case: case.name)
def test_leaves_to_others(case: Case) -> None:
    assert layer_of(KERNEL, case, M0PLUS) is None
