"""Tests that the kernels of pooling share; a module of a kernel subclasses them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from tests.fast.kernel_table import check_kernel, taken
from tests.ops.case_table import Case, Rng, random_cases


class PoolTests:
    """The bytes of the operator's cases, all of which the kernel takes, and of random windows."""

    kernel: ClassVar[str]
    cases: ClassVar[Sequence[Case]]
    #: Makes a case of a name, the sizes of an image and of a window, and a stride.
    pool: ClassVar[Callable[..., Case]]
    draw: ClassVar[Callable[[Rng, str], Case]]

    def test_cases(self, tmp_path: Path) -> None:
        check_kernel(self.kernel, self.cases, tmp_path)

    def test_every_number_of_channels(self, tmp_path: Path) -> None:
        cases = [self.pool(f"channels{n}", (5, 5, n), (3, 3), (2, 2)) for n in range(1, 40)]
        check_kernel(self.kernel, cases, tmp_path)

    @pytest.mark.parametrize("seed", [11, pytest.param(12, marks=pytest.mark.slow)])
    def test_random(self, seed: int, tmp_path: Path) -> None:
        cases = taken(self.kernel, random_cases(self.draw, 48, seed))
        assert len(cases) > 45
        check_kernel(self.kernel, cases, tmp_path)
