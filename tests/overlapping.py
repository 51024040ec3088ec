"""Layers whose output is laid over their input, as far as they say, and a trap for late reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.ir import Array, Graph
from edgecnn.parity import Artifact
from firmware_export import c_writer
from firmware_export.device.build import build
from firmware_export.device.cores import Core
from firmware_export.device.memory import ROOMY
from firmware_export.device.network import EmulatedNetwork
from firmware_export.exporters import CLayer
from firmware_export.memory.plan import ALIGNMENT, Overlap, Plan, Problem, aligned
from firmware_export.runners import host_c
from tests.ops.case_table import write_c

#: The bits of the program status that tell where the core is in an IT block.
IT_STATE = 0x0600FC00

#: How far apart an input and an output are laid that may overlap, in bytes.
Apart = Callable[[Overlap], int]


def as_stated(overlap: Overlap) -> int:
    """The least that is allowed."""
    return aligned(overlap.distance)


def too_near(overlap: Overlap) -> int:
    """Less than that."""
    return aligned(overlap.distance) - ALIGNMENT


@dataclass(frozen=True)
class Pair:
    """An output over an input: begins and ends in the arena."""

    overlap: Overlap
    read: range
    written: range


def pairs_of(plan: Plan) -> list[Pair]:
    """What the plan lays over each other."""
    sizes = {b.name: b.size for b in plan.buffers}
    found = []
    for overlap in plan.overlaps:
        read, written = (
            range(plan.offsets[name], plan.offsets[name] + sizes[name])
            for name in (overlap.read, overlap.written)
        )
        if read.start < written.stop and written.start < read.stop:
            found.append(Pair(overlap, read, written))
    return found


def tight_plan(problem: Problem, apart: Apart, position: int) -> Plan:
    """Each output over its first input, or over that at a position; all else behind it."""
    of_output: dict[str, list[Overlap]] = {}
    for overlap in problem.overlaps:
        of_output.setdefault(overlap.written, []).append(overlap)
    sizes = {b.name: aligned(b.size) for b in problem.buffers}
    offsets: dict[str, int] = {}
    end = 0
    for written, given in of_output.items():
        overlap = given[min(position, len(given) - 1)]
        distance = apart(overlap)
        offsets[written] = end + max(0, -distance)
        offsets[overlap.read] = end + max(0, distance)
        end = max(offsets[n] + sizes[n] for n in (written, overlap.read))
    for name in sizes:
        if name not in offsets:
            offsets[name] = end
            end += sizes[name]
    return Plan(problem.buffers, offsets, end, problem.overlaps)


@contextmanager
def planned(apart: Apart, position: int) -> Iterator[list[Plan]]:
    """Networks are written with a `tight_plan` within it; the plans."""
    plans: list[Plan] = []

    def plan(problem: Problem) -> Plan:
        plans.append(tight_plan(problem, apart, position))
        return plans[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(c_writer, "plan", plan)
        if apart is too_near:
            patch.setattr(c_writer.checker, "check", lambda _: None)
        yield plans


@dataclass
class Trap:
    """Sees all that a core reads and writes where an output lies over an input."""

    pairs: list[Pair]
    base: int
    emulator: Any
    #: The output whose place each byte is in, by number from 1 on; and whether it was written.
    place: Array = field(init=False)
    written: Array = field(init=False)
    #: For each pair: the end of what was written; the distance that was needed; late reads; whether
    #: there would be some if the output lay `too_near`.
    ends: list[int] = field(init=False)
    needed: list[int] = field(init=False)
    late: list[set[int]] = field(init=False)
    is_tight: list[bool] = field(init=False)

    def __post_init__(self) -> None:
        stop = max((max(p.read.stop, p.written.stop) for p in self.pairs), default=0)
        self.place, self.written = np.zeros(stop, int), np.zeros(stop, bool)
        for number, pair in enumerate(self.pairs, 1):
            for part in (pair.read, pair.written):
                self.place[part.start : part.stop] = number
        self.ends = [0] * len(self.pairs)
        self.needed = [-len(pair.read) for pair in self.pairs]
        self.late = [set() for _ in self.pairs]
        self.is_tight = [False] * len(self.pairs)

    def on_access(self, _: object, access: int, address: int, size: int, *__: object) -> None:
        """Unicorn's hook of memory accesses; see ``counter.c`` about the IT state."""
        import unicorn
        from unicorn import arm_const

        status = self.emulator.reg_read(arm_const.UC_ARM_REG_XPSR)
        if status & IT_STATE:
            self.emulator.reg_write(arm_const.UC_ARM_REG_XPSR, status & ~IT_STATE)
        at = address - self.base
        if not 0 <= at < len(self.place) or self.place[at] == 0:
            return
        number = int(self.place[at]) - 1
        pair = self.pairs[number]
        if access == unicorn.UC_MEM_WRITE:
            self.written[at : at + size] = True
            self.ends[number] = max(self.ends[number], at + size - pair.written.start)
            return
        if self.ends[number]:
            needed = self.ends[number] - (at - pair.read.start)
            self.needed[number] = max(self.needed[number], needed)
        moved = at - pair.read.start + pair.written.start + too_near(pair.overlap)
        inside = slice(max(moved, pair.written.start), max(moved + size, pair.written.start))
        if self.written[inside].any():
            self.is_tight[number] = True
        if self.written[at : at + size].any():
            late = (i for i in range(at, at + size) if self.written[i])
            self.late[number].update(i - pair.read.start for i in late)


@dataclass(frozen=True)
class Outcome:
    """What became of layers that overlap: by output, whether bytes differ, and what the trap saw.

    ``needed`` is the smallest distance that this run allowed, ``late`` the bytes of the input that
    were read when they were overwritten, ``tight`` the layers with such if they lay `too_near`.
    """

    plan: Plan
    pairs: list[Pair]
    differing: set[str]
    needed: Mapping[str, int]
    late: Mapping[str, set[int]]
    tight: set[str]


def written_with(
    graph: Graph, layers: Mapping[str, CLayer], directory: Path, apart: Apart, position: int
) -> tuple[Artifact, Plan]:
    """A graph's C with outputs over inputs."""
    with planned(apart, position) as plans:
        write_c(graph, directory, layers)
    return Artifact(graph, b"", graph.name, directory), plans[0]


def on_host(artifact: Artifact, feeds: Mapping[str, Array], right: Mapping[str, Array]) -> set[str]:
    """The nodes that give something else when the host runs the C."""
    return _differing(artifact.graph, host_c.RUNNER.open(artifact).run(feeds), right)


def on_core(
    artifact: Artifact,
    plan: Plan,
    core: Core,
    compiler: str,
    feeds: Mapping[str, Array],
    right: Mapping[str, Array],
) -> Outcome:
    """Run the first sample on an emulated core, with the trap."""
    import unicorn

    network = EmulatedNetwork(artifact, build(artifact, core, compiler=compiler), core, ROOMY)
    pairs = pairs_of(plan)
    trap = Trap(pairs, network.arena, network.machine.emulator)
    kinds = unicorn.UC_HOOK_MEM_READ | unicorn.UC_HOOK_MEM_WRITE
    stop = network.arena + max(1, len(trap.place)) - 1
    network.machine.emulator.hook_add(kinds, trap.on_access, None, network.arena, stop)
    found = network.trace({name: array[0] for name, array in feeds.items()})
    names = [pair.overlap.written for pair in pairs]
    return Outcome(
        plan,
        pairs,
        _differing(artifact.graph, {n: v[None] for n, v in found.items()}, right),
        dict(zip(names, trap.needed, strict=True)),
        dict(zip(names, trap.late, strict=True)),
        {name for name, is_tight in zip(names, trap.is_tight, strict=True) if is_tight},
    )


def _differing(graph: Graph, got: Mapping[str, Array], right: Mapping[str, Array]) -> set[str]:
    """The nodes, by their first outputs, that gave something else."""
    assert set(graph.outputs) <= set(got)
    return {
        node.output
        for node in graph.nodes
        for name in node.outputs
        if name in got and not np.array_equal(got[name], right[name][: len(got[name])])
    }
