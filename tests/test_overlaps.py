"""Kernels may write over their inputs as far as they say, no nearer, on the host and on cores."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from edgecnn.ir import Graph
from edgecnn.operators import discover
from edgecnn.parity import random_feeds
from edgecnn.simulator import run_int
from firmware_export.device.build import COMPILERS, unavailable
from firmware_export.device.cores import Core
from firmware_export.exporters import CLayer
from firmware_export.fast.depthwise_conv2d_planar import PLANES, SMALL
from firmware_export.fast_kernel import candidates, fast_kernels
from tests.fast.fused_cases import fused_layers, is_taken, pair_graph
from tests.fast.kernel_table import M0PLUS, M4
from tests.fast.layer_table import LAYERS, MAKERS, layers
from tests.fast.test_add_linear import ordinary_add
from tests.fast.test_conv2d_pooled import CASES as POOLED
from tests.fast.test_sub_linear import ordinary_sub
from tests.ops.case_table import Case, build, random_cases
from tests.overlapping import Outcome, as_stated, on_core, on_host, too_near, written_with

#: Stems of fast kernels, with the variants that they have.
STEMS = [*sorted(fast_kernels()), f"depthwise_conv2d_planar{SMALL}"]
TABLED = [stem for stem in STEMS if fast_kernels()[stem.split(",")[0]].op in MAKERS]
OTHERS = [stem for stem in STEMS if stem not in TABLED]
#: Cases that straight lines are for.
LINEAR = {
    "add_linear": random_cases(ordinary_add, 8, 3),
    "sub_linear": random_cases(ordinary_sub, 8, 3),
}
#: Layers in one program.
_PART = 40
#: Cases of an operator that are quick.
_FEW = 3


def cases_of(op: str) -> list[Case]:
    """The table of an operator."""
    return list(importlib.import_module(f"tests.ops.test_{op}").CASES)


def layer_by(stem: str, graph: Graph, core: Core, step: int = 0) -> CLayer | None:
    """A node's layer by a kernel, or None where the kernel is not for it."""
    return candidates(graph.nodes[step], graph, core).get(stem)


def core_of(stem: str) -> Core:
    """The core that a kernel is for."""
    return M4 if fast_kernels()[stem.split(",")[0]].needs_dsp else M0PLUS


def taken(stem: str, cases: Sequence[Case]) -> list[Case]:
    """The cases that a kernel computes and may write over."""
    found = [(case, layer_by(stem, build([case]), core_of(stem))) for case in cases]
    return [case for case, layer in found if layer is not None and layer.overlaps]


def with_kernel(stem: str, cases: Sequence[Case]) -> tuple[Graph, dict[str, CLayer]]:
    """A graph of some cases, and their layers by a kernel."""
    graph = build(cases)
    found = {n.output: candidates(n, graph, core_of(stem))[stem] for n in graph.nodes}
    return graph, found


def is_spare(layer: CLayer | None, byte: int) -> bool:
    """Whether nothing is computed from a byte that a kernel reads once more.

    Planes are of four channels: the last ones have some in them that are done.
    """
    if layer is None or layer.kernel != "depthwise_conv2d_planar":
        return False
    channels = layer.shape["input_channels"]
    assert isinstance(channels, int)
    return channels - PLANES <= byte % channels < (channels - 1) // PLANES * PLANES


def check(
    graph: Graph,
    chosen: Mapping[str, CLayer],
    directory: Path,
    core: Core,
    position: int = 0,
) -> list[Outcome]:
    """Bytes are right, and nothing is read late, where all lies as near as layers say."""
    feeds = random_feeds(graph, 2, 0)
    right = run_int(graph, feeds)
    artifact, plan = written_with(graph, chosen, directory, as_stated, position)
    assert on_host(artifact, feeds, right) == set()
    outcomes = []
    for compiler in [name for name in COMPILERS if unavailable(name) is None]:
        outcome = on_core(artifact, plan, core, compiler, feeds, right)
        assert outcome.differing == set()
        for pair in outcome.pairs:
            name, overlap = pair.overlap.written, pair.overlap
            late = {b for b in outcome.late[name] if not is_spare(chosen.get(name), b)}
            assert not late, (name, late)
            assert overlap.is_exact or outcome.needed[name] <= overlap.distance, name
        outcomes.append(outcome)
    assert outcomes
    return outcomes


def check_trap(
    graph: Graph,
    chosen: Mapping[str, CLayer],
    directory: Path,
    core: Core,
    outcomes: Sequence[Outcome],
) -> None:
    """What is as near as it can be is read late where it is nearer; nothing else is wrong then."""
    feeds = random_feeds(graph, 2, 0)
    right = run_int(graph, feeds)
    compilers = [name for name in COMPILERS if unavailable(name) is None]
    artifact, plan = written_with(graph, chosen, directory, too_near, 0)
    wrong = on_host(artifact, feeds, right)
    for compiler, stated in zip(compilers, outcomes, strict=True):
        outcome = on_core(artifact, plan, core, compiler, feeds, right)
        late = {name for name, found in outcome.late.items() if found}
        assert stated.tight <= late, stated.tight - late
        assert outcome.differing <= late
        assert wrong <= late


def check_part(stem: str, directory: Path, part: slice, most: int = LAYERS) -> bool:
    """Some layers of the table by a kernel; whether any was as near as it could be."""
    op = fast_kernels()[stem.split(",")[0]].op
    cases = taken(stem, layers(op)[part])[:most]
    if not cases:
        return False
    graph, chosen = with_kernel(stem, cases)
    outcomes = check(graph, chosen, directory, core_of(stem))
    check_trap(graph, chosen, directory, core_of(stem), outcomes)
    return all(outcome.tight for outcome in outcomes)


@pytest.mark.parametrize(
    "stem", [pytest.param(s, marks=pytest.mark.slow if i % 3 else ()) for i, s in enumerate(TABLED)]
)
def test_some_layers(stem: str, tmp_path: Path) -> None:
    assert check_part(stem, tmp_path, slice(0, 12), most=2)


@pytest.mark.slow
@pytest.mark.parametrize("start", range(0, LAYERS, _PART))
@pytest.mark.parametrize("stem", TABLED)
def test_all_layers(stem: str, start: int, tmp_path: Path) -> None:
    check_part(stem, tmp_path, slice(start, start + _PART))


@pytest.mark.parametrize("stem", [s for s in OTHERS if s != "mean_words"])
def test_other_kernels(stem: str, tmp_path: Path) -> None:
    """Elementwise ones over each of their operands, and pooling."""
    cases = taken(stem, [*cases_of(fast_kernels()[stem].op), *LINEAR.get(stem, [])])
    assert cases
    graph, chosen = with_kernel(stem, cases)
    for position in (0, 1):
        check(graph, chosen, tmp_path, core_of(stem), position)


def test_fused_layers(tmp_path: Path) -> None:
    graph = pair_graph([case for case in POOLED if is_taken("conv2d_pooled", case)][:12])
    chosen = fused_layers("conv2d_pooled", graph)
    outcomes = check(graph, chosen, tmp_path, M4)
    assert len(outcomes[0].pairs) > len(chosen) // 2
    check_trap(graph, chosen, tmp_path, M4, outcomes)


#: Operators with a portable kernel.
PORTABLE = sorted(set(discover("firmware_export.ops", "EXPORTER")) - {"reshape"})


def renamed(cases: Sequence[Case]) -> list[Case]:
    """Cases of several tables, with names of their own."""
    return [replace(case, name=f"case{i}") for i, case in enumerate(cases)]


@pytest.mark.slow
def test_some_portable_layers(tmp_path: Path) -> None:
    """A few of each operator, over each of their inputs."""
    graph = build(renamed([case for op in PORTABLE for case in cases_of(op)[:_FEW]]))
    for position in (0, 1):
        for outcome in check(graph, {}, tmp_path, M0PLUS, position):
            assert len(outcome.pairs) > 60


@pytest.mark.slow
@pytest.mark.parametrize("op", PORTABLE)
def test_all_portable_layers(op: str, tmp_path: Path) -> None:
    cases = renamed(cases_of(op) + (layers(op)[:_PART] if op in MAKERS else []))
    graph = build(cases)
    for position in range(1, max(len(case.inputs) for case in cases)):
        check(graph, {}, tmp_path, M4, position)
    outcomes = check(graph, {}, tmp_path, M4)
    if outcomes[0].pairs:
        check_trap(graph, {}, tmp_path, M4, outcomes)
