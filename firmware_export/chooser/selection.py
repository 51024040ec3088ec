"""Takes the fastest kernels that fit a budget of flash and RAM."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from edgecnn.ir import Graph
from firmware_export.c_writer import fused_steps
from firmware_export.chooser.trials import PORTABLE, Group, Trial, Trials
from firmware_export.exporters import CLayer, portable_calls
from firmware_export.memory.constraints import Distances, lower_bound
from firmware_export.memory.lifetimes import problem
from firmware_export.memory.plan import Problem
from firmware_export.memory.planner import WORK, plan, quick
from firmware_export.streaming.stream import Stream

#: Instead of a kernel: of layers that could be computed together, of those that are, and of those
#: that are all in bands of rows, whose kernels `StreamChoice` has.
SEPARATE, FUSED, IN_BANDS = "separate", "fused", "in bands"


@dataclass(frozen=True)
class Budget:
    """Bytes that code and weights, and the arena, may take; None is without limit.

    With ``least_ram`` the arena must be the smallest that any kernels allow.
    """

    flash: int | None = None
    ram: int | None = None
    least_ram: bool = False

    def less(self, flash: int) -> Budget:
        """The budget with less flash."""
        return self if self.flash is None else Budget(self.flash - flash, self.ram, self.least_ram)


@dataclass(frozen=True)
class Selection:
    """``kernels`` has the kernel of each group of trials, in their order; sizes in bytes.

    `SEPARATE` stands there for a group of fused layers that is not taken, `FUSED` for layers that
    others have in them, and `IN_BANDS` for those that a stream has. ``layers`` are the C calls
    with fast kernels, by their nodes' first output, the last node's where there are several.
    ``flash_bytes`` is code and weights of the layers that there were trials of.
    """

    kernels: tuple[str, ...] = ()
    layers: Mapping[str, CLayer] = field(default_factory=dict)
    cycles: int = 0
    flash_bytes: int = 0
    arena_bytes: int = 0


def with_margin(code_bytes: int) -> int:
    """What code may take by a compiler other than that of the trials.

    gcc 12.2 -O3 made up to 1.34 times as much of the official models as the Clang of ziglang.
    """
    return code_bytes * 11 // 8


@dataclass(frozen=True, eq=False)
class Frame:
    """What is the same whatever kernels are picked.

    ``portable`` has the calls without a choice, by place; the first nodes may be in a ``stream``,
    which takes ``stream_bytes`` of the arena while it runs. Plans are looked for with ``work``.
    """

    graph: Graph
    portable: Mapping[int, CLayer]
    stream: Stream | None = None
    stream_bytes: int = 0
    work: int = WORK

    @classmethod
    def of(cls, graph: Graph) -> Frame:
        """That of a graph without a stream."""
        return cls(graph, portable_calls(graph))

    def without_scratch(self, stream: Stream | None, work: int) -> Frame:
        """With layers that need no working memory, which none can be below."""
        bare = {step: replace(call, scratch_bytes=0) for step, call in self.portable.items()}
        return Frame(self.graph, bare, stream, work=work)

    @property
    def streamed(self) -> int:
        """Nodes in the stream, which no kernel of a group computes."""
        return 0 if self.stream is None else self.stream.count

    def problem(self, layers: Mapping[int, CLayer], fused: Mapping[int, int]) -> Problem:
        """What is to be planned with some calls instead of the portable ones."""
        calls = {s: c for s, c in {**self.portable, **layers}.items() if s not in fused}
        return problem(self.graph, calls, fused, self.stream)

    def quick_bytes(self, layers: Mapping[int, CLayer], fused: Mapping[int, int]) -> int:
        """Not more than a little above `arena_bytes`."""
        later = self.problem(layers, fused).within(self.streamed or -1, len(self.graph.nodes))
        return max(self.stream_bytes, quick(later).arena_bytes)

    def bound(self, layers: Mapping[int, CLayer], fused: Mapping[int, int]) -> int:
        """Bytes that `arena_bytes` is not below; soon known."""
        return lower_bound(Distances(self.problem(layers, fused)))

    def arena_bytes(self, layers: Mapping[int, CLayer], fused: Mapping[int, int]) -> int:
        """Bytes of the arena with some calls instead of the portable ones."""
        return plan(self.problem(layers, fused), self.work).arena_bytes

    def arena_with(self, chosen: Mapping[str, CLayer]) -> int:
        """Bytes of the arena with fast layers by their outputs, as a `Selection` has them."""
        places = {node.output: step for step, node in enumerate(self.graph.nodes)}
        layers = {places[output]: layer for output, layer in chosen.items()}
        return self.arena_bytes(layers, fused_steps(self.graph, chosen))


class _Set:
    """One trial for each group, and what they take together; None where layers are not fused."""

    def __init__(
        self, frame: Frame, groups: Sequence[Trials], picked: Sequence[Trial | None]
    ) -> None:
        self.frame, self.groups, self.picked = frame, groups, tuple(picked)
        taken = zip(groups, self.picked, strict=True)
        self.fused = frozenset(
            step for g, t in taken if t and g.group.is_fused for step in g.group.covered
        )

    def parts(self) -> Iterator[tuple[Group, Trial, list[int]]]:
        """Groups with their trials, and which of the members nothing else computes instead."""
        for g, trial in zip(self.groups, self.picked, strict=True):
            left = [
                i
                for i, member in enumerate(g.group.members)
                if member[0] >= self.frame.streamed
                and (g.group.is_fused or member[0] not in self.fused)
            ]
            if trial is not None and left:
                yield g.group, trial, left

    @property
    def kernels(self) -> tuple[str, ...]:
        """The kernel of each group, `SEPARATE`, `FUSED`, or `IN_BANDS`."""
        names = {id(group): trial.kernel for group, trial, _ in self.parts()}
        return tuple(names.get(id(g.group), self._instead(g.group)) for g in self.groups)

    def _instead(self, group: Group) -> str:
        """What stands for the kernel of a group that has none."""
        if all(member[0] < self.frame.streamed for member in group.members):
            return IN_BANDS
        return SEPARATE if group.is_fused else FUSED

    @property
    def layers(self) -> dict[str, CLayer]:
        """The C calls with fast kernels, by their first output."""
        return {
            self.frame.graph.nodes[group.steps[i]].output: group.layers[trial.kernel][i]
            for group, trial, left in self.parts()
            if trial.kernel != PORTABLE
            for i in left
        }

    @property
    def cycles(self) -> int:
        return sum(trial.cycles * len(left) for _, trial, left in self.parts())

    @property
    def flash_bytes(self) -> int:
        """Kernels with a shape are compiled for each group, others once for all."""
        code: dict[str, int] = {}
        weights = 0
        for i, (group, trial, left) in enumerate(self.parts()):
            layer = group.layers[trial.kernel][0]
            name = layer.kernel if layer.is_shared or not layer.shape else str(i)
            code[name] = max(code.get(name, 0), trial.code_bytes)
            weights += group.weight_bytes(trial.kernel, left)
        return weights + with_margin(sum(code.values()))

    @functools.cached_property
    def arena_bytes(self) -> int:
        """Not more than a little above what the plan of the export takes."""
        return self.frame.quick_bytes(*self.calls)

    @property
    def calls(self) -> tuple[dict[int, CLayer], dict[int, int]]:
        """The calls by place, and the places of nodes inside of others."""
        layers: dict[int, CLayer] = {}
        fused: dict[int, int] = {}
        for group, trial, left in self.parts():
            for i in left:
                *inside, step = group.members[i]
                layers[step] = group.layers[trial.kernel][i]
                fused |= dict.fromkeys(inside, step)
        return layers, fused

    def with_trial(self, i: int, trial: Trial | None) -> _Set:
        """The set with another trial, and without what computes some of the same nodes."""
        picked = list(self.picked)
        group = self.groups[i].group
        if group.is_fused and trial is not None:
            for k, other in enumerate(self.groups):
                if other.group.is_fused and not group.covered.isdisjoint(other.group.covered):
                    picked[k] = None
        picked[i] = trial
        return _Set(self.frame, self.groups, picked)

    def others(self) -> list[_Set]:
        """The sets that differ in one group."""
        return [
            self.with_trial(i, trial)
            for i, g in enumerate(self.groups)
            for trial in (*g.trials, *([None] if g.group.is_fused else []))
            if trial != self.picked[i]
        ]


def _reduced(start: _Set, size: str, limit: int) -> _Set:
    """Give up as few cycles as it takes to bring ``size`` under a limit, a byte at a time.

    Takes the exchange that costs the fewest cycles a byte, again and again; the nearest there is
    where the limit cannot be reached.
    """
    best = start
    while getattr(best, size) > limit:
        now = getattr(best, size)
        smaller = [(now - getattr(other, size), other) for other in best.others()]
        smaller = [(saved, other) for saved, other in smaller if saved > 0]
        if not smaller:
            return best
        best = min(smaller, key=lambda s: (s[1].cycles - best.cycles) / s[0])[1]
    return best


def _improved(start: _Set, flash: int | None, ram: int | None) -> _Set:
    """Take faster trials for single groups as long as the set stays within the limits."""
    best = start
    while True:
        better = [
            other
            for other in best.others()
            if other.cycles < best.cycles
            and (flash is None or other.flash_bytes <= max(flash, best.flash_bytes))
            and (ram is None or other.arena_bytes <= max(ram, best.arena_bytes))
        ]
        if not better:
            return best
        best = min(better, key=lambda s: s.cycles)


def select(frame: Frame, groups: Sequence[Trials], budget: Budget) -> Selection:
    """The fastest kernels, exchanged until flash and arena fit the budget, if they can."""
    if not groups:
        return Selection(arena_bytes=frame.arena_bytes({}, {}))
    ram = _least_arena(frame, groups) if budget.least_ram else budget.ram
    fastest = _separate(frame, groups, [min(g.trials, key=lambda t: t.cycles) for g in groups])
    best = _improved(fastest, None, None)
    if ram is not None:
        best = _reduced(best, "arena_bytes", ram)
    if budget.flash is not None:
        best = _reduced(best, "flash_bytes", budget.flash)
    best = _improved(best, budget.flash, ram)
    arena = frame.arena_bytes(*best.calls)
    return Selection(best.kernels, best.layers, best.cycles, best.flash_bytes, arena)


def _separate(frame: Frame, groups: Sequence[Trials], picked: Sequence[Trial]) -> _Set:
    """Trials without those of fused layers."""
    kept = [None if g.group.is_fused else t for g, t in zip(groups, picked, strict=True)]
    return _Set(frame, groups, kept)


def _least_arena(frame: Frame, groups: Sequence[Trials]) -> int:
    """The smallest arena that is found, from layers all by themselves and all that can be fused."""
    picked = [min(g.trials, key=lambda t: t.scratch_bytes) for g in groups]
    apart = together = _separate(frame, groups, picked)
    for i, trial in enumerate(picked):
        together = together.with_trial(i, trial)
    return min(_reduced(start, "arena_bytes", 0).arena_bytes for start in (apart, together))
