"""The cases of every operator that has a form in 16 bits, in 16 bits, on every runner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from edgecnn.ir import Graph, Node, QuantParams, Tensor
from firmware_export.device.build import COMPILERS
from tests.device.exactness import check_accesses, check_exact
from tests.fast.kernel_table import M0PLUS, M4
from tests.network_builder import makers
from tests.ops.case_table import Case, Rng
from tests.test_overlaps import check as check_overlaps
from tests.test_overlaps import check_trap
from tests.wide.wide_table import (
    CASED,
    build,
    check,
    every_wide_case,
    layers_alone,
    random_cases,
    some_of_each,
    wide_cases,
    widened,
)

#: Scales that runtimes can divide the 6 of a fused ReLU6 by.
SMALLEST_SCALE = 1e-8


def drawn(op: str, count: int, seed: int) -> list[Case]:
    """Random cases of an operator."""
    (make, *_) = makers(op)

    def wide(rng: Rng, name: str) -> Case:
        case = widened(make(rng, name))
        while case.output is not None and case.output[0] < SMALLEST_SCALE:
            case = widened(make(rng, name))
        return case

    return random_cases(wide, count, seed)


#: Those that most networks are made of.
MAIN = ("add", "conv2d", "depthwise_conv2d", "fully_connected")


def test_some_cases_of_each(tmp_path: Path) -> None:
    check(some_of_each(2), tmp_path, samples=2)


def test_some_random_cases(tmp_path: Path) -> None:
    cases = [replace(case, name=f"{op}-{case.name}") for op in MAIN for case in drawn(op, 8, 1)]
    check(cases, tmp_path, samples=2)


@pytest.mark.slow
@pytest.mark.parametrize("op", CASED)
def test_cases(op: str, tmp_path: Path) -> None:
    check(wide_cases(op), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("op", CASED)
def test_many_random(op: str, seed: int, tmp_path: Path) -> None:
    check(drawn(op, 48, seed), tmp_path, seed=seed)


@pytest.mark.parametrize("arm_compiler", ["clang"], indirect=True)
def test_on_the_smallest_core(arm_compiler: str, tmp_path: Path) -> None:
    graph = every_wide_case(1)
    check_exact(graph, tmp_path, "cortex-m0plus", arm_compiler)
    check_accesses(graph, tmp_path, "cortex-m0plus", arm_compiler)


def alone(cases: Sequence[Case]) -> Graph:
    return layers_alone(build(cases), cases)


def conversions() -> Graph:
    """int8 to int16, int16 to int8, and int16 to int16."""
    tensors, nodes = {}, []
    for number, pair in enumerate((("int8", "int16"), ("int16", "int8"), ("int16", "int16"))):
        names = (f"from{number}", f"to{number}")
        for name, dtype, scale in zip(names, pair, (0.01, 0.003), strict=True):
            quant = QuantParams.per_tensor(scale, 0)
            tensors[name] = Tensor(name, (1, 301), dtype, None, quant)
        nodes.append(Node("requantize", names[:1], names[1:]))
    inputs, outputs = (
        tuple(n for node in nodes for n in ends(node))
        for ends in (lambda node: node.inputs, lambda node: node.outputs)
    )
    return Graph("net", tuple(nodes), tensors, inputs, outputs)


def test_outputs_over_inputs(tmp_path: Path) -> None:
    """A few layers of each operator lie over their inputs as near as they say."""
    for outcome in check_overlaps(alone(some_of_each(1)), {}, tmp_path, M0PLUS):
        assert len(outcome.pairs) > 12


def test_conversions_over_inputs(tmp_path: Path) -> None:
    outcomes = check_overlaps(conversions(), {}, tmp_path, M4)
    assert len(outcomes[0].pairs) == 3
    check_trap(conversions(), {}, tmp_path, M4, outcomes)


@pytest.mark.slow
@pytest.mark.parametrize("op", CASED)
def test_all_outputs_over_inputs(op: str, tmp_path: Path) -> None:
    graph = alone(wide_cases(op))
    outcomes = check_overlaps(graph, {}, tmp_path, M4)
    if outcomes[0].pairs:
        check_trap(graph, {}, tmp_path, M4, outcomes)


@pytest.mark.slow
@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m4"])
@pytest.mark.parametrize("arm_compiler", COMPILERS, indirect=True)
@pytest.mark.parametrize("op", CASED)
def test_on_cores(op: str, core: str, arm_compiler: str, tmp_path: Path) -> None:
    graph = build(wide_cases(op))
    check_exact(graph, tmp_path, core, arm_compiler)
    check_accesses(graph, tmp_path, core, arm_compiler)
