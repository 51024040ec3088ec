"""Cases and tests of the larger and the smaller of two operands."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import ClassVar

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
from tests.ops.case_table import Case, Constant, Rng, problem
from tests.ops.case_tests import CaseTests

SHARED: Quants = ((0.05, 3), (0.05, 3), (0.05, 3))


def extremum(op: str, name: str, a: Operand, b: Operand, scales: Quants = SHARED) -> Case:
    """Two operands and a result of one scale."""
    return binary(name, op, a, b, scales)


def named_cases(op: str) -> list[Case]:
    """Operands that broadcast, and constant ones."""
    return [
        *(extremum(op, f"shapes-{name}", *shapes) for name, shapes in shapes_of().items()),
        extremum(op, "constant-second", (1, 3, 3, 4), BYTES[:4]),
        extremum(op, "constant-first", BYTES[:4], (1, 3, 3, 4)),
        extremum(op, "constant-of-full-shape", (1, 3, 4), BYTES[:12].reshape(1, 3, 4)),
        extremum(op, "constant-number", (1, 3, 4), BYTES[77:78]),
    ]


def draw_extremum(op: str, rng: Rng, name: str) -> Case:
    """Random operands of one scale."""
    a, b, (first, *_) = draw_pair(rng)
    return extremum(op, name, a, b, (first, first, first))


class ExtremumTests(CaseTests):
    """All that holds for both."""

    op: ClassVar[str]
    count = 60

    def test_every_pair(self, tmp_path: Path) -> None:
        scales = {name: (s[0], s[0], s[0]) for name, s in PAIR_SCALES.items()}
        check_all_pairs(partial(extremum, self.op), scales, tmp_path)

    @pytest.mark.slow
    def test_every_pair_at_random_scales(self, tmp_path: Path) -> None:
        rng = np.random.default_rng(1)
        scales = {f"scales{i}": (draw_pair(rng)[2][0],) * 3 for i in range(16)}
        check_all_pairs(partial(extremum, self.op), scales, tmp_path)

    def test_refuses_two_constants(self) -> None:
        constant = Constant(np.zeros((1, 2), np.int8), (0.1,))
        case = Case("both", self.op, [constant, constant], Attributes(), (0.1, 0))
        assert "constants" in (problem(case) or "")

    def test_refuses_many_dimensions(self) -> None:
        shape = (1, 2, 1, 2, 1, 2)
        assert "6 dimensions" in (problem(extremum(self.op, "y", shape, shape)) or "")

    def test_refuses_scales_that_differ(self) -> None:
        case = extremum(self.op, "y", (1, 2), (1, 2), PAIR_SCALES["near"])
        assert "differ in scale" in (problem(case) or "")
