"""Tests that operators of one kind share; a module of an operator subclasses them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

import pytest

from tests.ops.case_table import Case, Rng, check, random_cases


class CaseTests:
    """Named and random cases on every runner."""

    cases: ClassVar[Sequence[Case]]
    draw: ClassVar[Callable[[Rng, str], Case]]
    count: ClassVar[int] = 48

    def test_cases(self, tmp_path: Path) -> None:
        check(self.cases, tmp_path)

    def test_random(self, tmp_path: Path) -> None:
        check(random_cases(self.draw, self.count, 1), tmp_path)

    @pytest.mark.slow
    @pytest.mark.parametrize("seed", range(2, 7))
    def test_many_random(self, seed: int, tmp_path: Path) -> None:
        check(random_cases(self.draw, self.count, seed), tmp_path, seed=seed)
