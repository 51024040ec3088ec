"""The cases of every operator that has a form in 16 bits, in 16 bits, on every runner."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.operators import operators
from firmware_export.device.build import COMPILERS
from tests.device.exactness import check_accesses, check_exact
from tests.device.test_operators import named_cases
from tests.network_builder import makers
from tests.ops.case_table import Case, Rng
from tests.wide.wide_table import build, check, problem, random_cases, widened

OPERATORS = sorted(name for name, op in operators().items() if op.has_wide_form)
#: Those whose cases are conversions have tests of their own.
CASED = [op for op in OPERATORS if op != "requantize"]
#: Scales that runtimes can divide the 6 of a fused ReLU6 by.
SMALLEST_SCALE = 1e-8


def wide_cases(op: str) -> list[Case]:
    """The named cases of an operator, without those that int16 has no numbers for."""
    cases = [widened(case) for case in named_cases(op)]
    return [case for case in cases if problem(case) is None]


def drawn(op: str, count: int, seed: int) -> list[Case]:
    """Random cases of an operator."""
    (make, *_) = makers(op)

    def wide(rng: Rng, name: str) -> Case:
        case = widened(make(rng, name))
        while case.output is not None and case.output[0] < SMALLEST_SCALE:
            case = widened(make(rng, name))
        return case

    return random_cases(wide, count, seed)


@pytest.mark.parametrize("op", CASED)
def test_cases(op: str, tmp_path: Path) -> None:
    check(wide_cases(op), tmp_path)


@pytest.mark.parametrize("op", CASED)
def test_random(op: str, tmp_path: Path) -> None:
    check(drawn(op, 16, 1), tmp_path, samples=2)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 5))
@pytest.mark.parametrize("op", CASED)
def test_many_random(op: str, seed: int, tmp_path: Path) -> None:
    check(drawn(op, 48, seed), tmp_path, seed=seed)


@pytest.mark.slow
@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m4"])
@pytest.mark.parametrize("arm_compiler", COMPILERS, indirect=True)
@pytest.mark.parametrize("op", CASED)
def test_on_cores(op: str, core: str, arm_compiler: str, tmp_path: Path) -> None:
    graph = build(wide_cases(op))
    check_exact(graph, tmp_path, core, arm_compiler)
    check_accesses(graph, tmp_path, core, arm_compiler)
