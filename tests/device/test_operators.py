"""The named cases of every operator give the same bytes on emulated cores.

The Cortex-M0+ is the strictest: no unaligned access, no division, no long multiplication.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from edgecnn.operators import operators
from firmware_export.device.build import COMPILERS
from tests.device.exactness import check_accesses, check_exact
from tests.ops.case_table import Case, build

OPERATORS = sorted(name for name, op in operators().items() if not op.is_float_only)


def named_cases(op: str) -> Sequence[Case]:
    """The table of the operator's own tests."""
    module = importlib.import_module(f"tests.ops.test_{op}")
    cases: Sequence[Case] = module.CASES
    assert cases
    return cases


@pytest.mark.parametrize("arm_compiler", ["clang"], indirect=True)
@pytest.mark.parametrize("op", OPERATORS)
def test_on_the_smallest_core(op: str, arm_compiler: str, tmp_path: Path) -> None:
    graph = build(named_cases(op))
    check_exact(graph, tmp_path, "cortex-m0plus", arm_compiler)
    check_accesses(graph, tmp_path, "cortex-m0plus", arm_compiler)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("core", "arm_compiler"),
    [
        (core, compiler)
        for core in ("cortex-m0plus", "cortex-m4")
        for compiler in COMPILERS
        if (core, compiler) != ("cortex-m0plus", "clang")  # in every test run
    ],
    indirect=["arm_compiler"],
)
@pytest.mark.parametrize("op", OPERATORS)
def test_on_other_cores(op: str, core: str, arm_compiler: str, tmp_path: Path) -> None:
    graph = build(named_cases(op))
    check_exact(graph, tmp_path, core, arm_compiler)
    check_accesses(graph, tmp_path, core, arm_compiler)
