"""Tests that operators with two int8 operands share; a module of an operator subclasses them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from tests.ops.binary_cases import PAIR_SCALES, Quants, check_all_pairs, draw_pair
from tests.ops.case_table import Case, problem
from tests.ops.case_tests import CaseTests


class BinaryTests(CaseTests):
    """All pairs of bytes, and what is refused; ``make(name, a, b, scales)`` is a case."""

    make: ClassVar[Callable[..., Case]]
    #: Whether outputs are like products of operands; else like their sums.
    product: ClassVar[bool] = False
    count = 60

    @staticmethod
    def quants(scales: Quants) -> Quants:
        """What the operator can have of some scales and zero points."""
        return scales

    def test_every_pair(self, tmp_path: Path) -> None:
        scales = {name: self.quants(s) for name, s in PAIR_SCALES.items()}
        check_all_pairs(self.make, scales, tmp_path)

    @pytest.mark.slow
    def test_every_pair_at_random_scales(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(1)
        drawn = (self.quants(draw_pair(rng, product=self.product)[2]) for _ in itertools.count())
        accepted = (s for s in drawn if problem(self.make("y", (1, 2), (1, 2), s)) is None)
        scales = {f"scales{i}": s for i, s in enumerate(itertools.islice(accepted, 16))}
        check_all_pairs(self.make, scales, tmp_path)

    def test_refuses_two_constants(self) -> None:
        constant = np.zeros((1, 2), np.int8)
        assert "constants" in (problem(self.make("both", constant, constant)) or "")

    def test_refuses_many_dimensions(self) -> None:
        shape = (1, 2, 1, 2, 1, 2)
        assert "6 dimensions" in (problem(self.make("y", shape, shape)) or "")


class RescalingTests(BinaryTests):
    """The same of operators whose output has a scale of its own."""

    #: Why an output scale that is far too small is refused.
    unreachable: ClassVar[str] = "overflows int32"

    def test_refuses_an_output_scale_that_cannot_be_reached(self) -> None:
        case = self.make("tiny", (1, 2), (1, 2), ((1.0, 0), (1.0, 0), (1e-9, 0)))
        assert self.unreachable in (problem(case) or "")
