"""Takes the fastest kernels that fit a budget of flash and RAM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edgecnn.ir import Graph
from firmware_export.chooser.trials import PORTABLE, Trial, Trials
from firmware_export.exporters import CLayer
from firmware_export.memory.lifetimes import buffers
from firmware_export.memory.planner import plan


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

    ``layers`` are the C calls of the nodes with fast kernels, by their first output.
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


class _Set:
    """One trial for each group, and what they take together."""

    def __init__(self, graph: Graph, groups: Sequence[Trials], picked: Sequence[Trial]) -> None:
        self.graph, self.groups, self.picked = graph, groups, tuple(picked)

    @property
    def cycles(self) -> int:
        return sum(
            trial.cycles * len(g.group.steps)
            for g, trial in zip(self.groups, self.picked, strict=True)
        )

    @property
    def flash_bytes(self) -> int:
        """Kernels with a shape are compiled for each group, others once for all."""
        code: dict[str, int] = {}
        for i, (g, t) in enumerate(zip(self.groups, self.picked, strict=True)):
            layer = g.group.layers[t.kernel][0]
            name = layer.kernel if layer.is_shared or not layer.shape else str(i)
            code[name] = max(code.get(name, 0), t.code_bytes)
        weights = sum(
            g.group.weight_bytes(t.kernel) for g, t in zip(self.groups, self.picked, strict=True)
        )
        return weights + with_margin(sum(code.values()))

    @property
    def arena_bytes(self) -> int:
        scratch = {
            step: trial.scratch_bytes
            for g, trial in zip(self.groups, self.picked, strict=True)
            for step in g.group.steps
        }
        return plan(buffers(self.graph, scratch)).arena_bytes

    def with_trial(self, i: int, trial: Trial) -> _Set:
        return _Set(self.graph, self.groups, (*self.picked[:i], trial, *self.picked[i + 1 :]))

    def others(self) -> list[_Set]:
        """The sets that differ in one group."""
        return [
            self.with_trial(i, trial)
            for i, group in enumerate(self.groups)
            for trial in group.trials
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


def select(graph: Graph, groups: Sequence[Trials], budget: Budget) -> Selection:
    """The fastest kernels, exchanged until flash and arena fit the budget, if they can."""
    if not groups:
        return Selection()
    fastest = _Set(graph, groups, [min(g.trials, key=lambda t: t.cycles) for g in groups])
    ram = budget.ram
    if budget.least_ram:
        least = _Set(graph, groups, [min(g.trials, key=lambda t: t.scratch_bytes) for g in groups])
        ram = least.arena_bytes
    best = fastest
    if ram is not None:
        best = _reduced(best, "arena_bytes", ram)
    if budget.flash is not None:
        best = _reduced(best, "flash_bytes", budget.flash)
    best = _improved(best, budget.flash, ram)
    layers = {
        graph.nodes[step].output: layer
        for g, trial in zip(groups, best.picked, strict=True)
        if trial.kernel != PORTABLE
        for step, layer in zip(g.group.steps, g.group.layers[trial.kernel], strict=True)
    }
    return Selection(
        tuple(trial.kernel for trial in best.picked),
        layers,
        best.cycles,
        best.flash_bytes,
        best.arena_bytes,
    )
