"""Tests that the kernels of Winograd's algorithms share; a module of a kernel subclasses them."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from firmware_export.device.cores import Core
from firmware_export.winograd import Transforms
from tests.fast.kernel_table import M4, check_kernel, layer_of, taken
from tests.fast.winograd_cases import OTHERS, WIDE, check_transforms, random_case, worst
from tests.ops.case_table import Case, random_cases
from tests.ops.test_conv2d import CASES


class WinogradTests:
    """The bytes of convolutions that a kernel is for, and those that it leaves to others."""

    kernel: ClassVar[str]
    transforms: ClassVar[Transforms]
    #: The first seed of random cases, and how many of 40 the kernel takes at least.
    seed: ClassVar[int]
    least: ClassVar[int] = 31
    core: ClassVar[Core] = M4

    def random(self, seed: int) -> list[Case]:
        return taken(self.kernel, random_cases(random_case, 40, seed), self.core)

    def test_transforms_are_those_of_a_convolution(self) -> None:
        check_transforms(self.transforms)

    def test_cases(self, tmp_path: Path) -> None:
        cases = taken(self.kernel, CASES, self.core)
        assert {"same", "zero-point-at-the-bottom"} <= {case.name for case in cases}
        check_kernel(self.kernel, [*cases, *WIDE], tmp_path, core=self.core)

    def test_random(self, tmp_path: Path) -> None:
        cases = self.random(self.seed)
        assert len(cases) >= self.least
        check_kernel(self.kernel, cases, tmp_path, core=self.core)

    @pytest.mark.slow
    @pytest.mark.parametrize("further", range(1, 9))
    def test_many_random(self, further: int, tmp_path: Path) -> None:
        cases = self.random(self.seed + further)
        check_kernel(self.kernel, cases, tmp_path, core=self.core, samples=9)

    @pytest.mark.parametrize("channels", [4, 7])
    def test_worst(self, channels: int, tmp_path: Path) -> None:
        case, feeds = worst(self.transforms, channels)
        check_kernel(self.kernel, [case], tmp_path, core=self.core, feeds=feeds)

    @pytest.mark.parametrize("case", OTHERS, ids=lambda case: case.name)
    def test_leaves_to_others(self, case: Case) -> None:
        assert layer_of(self.kernel, case, self.core) is None
