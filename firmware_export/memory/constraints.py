"""How far apart buffers may lie, and how small no plan of them can be."""

from __future__ import annotations

from collections.abc import Mapping

from edgecnn.errors import InvariantError
from firmware_export.memory.plan import ALIGNMENT, Buffer, Overlap, Problem, aligned

#: Ends of an interval that goes on for ever.
FAR = 1 << 62

#: Distances from the first to the last, both included, in bytes.
Interval = tuple[int, int]


def meet(a: Buffer, b: Buffer) -> bool:
    """Whether two buffers are in use at the same step."""
    return a.first <= b.last and b.first <= a.last


class Distances:
    """Where the buffers of a problem may lie, seen from each other.

    Raises `InvariantError` where two buffers have one name, or a pair has two overlaps.
    """

    def __init__(self, problem: Problem) -> None:
        self.buffers = {b.name: b for b in problem.buffers}
        self.overlaps: Mapping[tuple[str, str], Overlap] = {
            (o.written, o.read): o for o in problem.overlaps if self._meet_once(o)
        }
        if len(self.buffers) < len(problem.buffers):
            raise InvariantError("memory plan: two buffers have the same name")
        if len({(o.written, o.read) for o in problem.overlaps}) < len(problem.overlaps):
            raise InvariantError("memory plan: two overlaps of the same buffers")

    def _meet_once(self, overlap: Overlap) -> bool:
        """Whether what is read is not needed after the step that writes."""
        return self.buffers[overlap.read].last == self.buffers[overlap.written].first

    def allowed(self, a: str, b: str) -> tuple[Interval, ...]:
        """Each ``offsets[b] - offsets[a]`` that two buffers may have, in ascending intervals."""
        below, above = aligned(self.buffers[a].size), aligned(self.buffers[b].size)
        if not meet(self.buffers[a], self.buffers[b]) or 0 in (below, above):
            return ((-FAR, FAR),)
        found = [(-FAR, -above), (below, FAR)]
        if not self.overlaps:
            return tuple(found)
        if over := self.overlaps.get((a, b)):
            found += _interval(over)
        if over := self.overlaps.get((b, a)):
            found += [(-high, -low) for low, high in _interval(over)]
        merged: list[Interval] = []
        for low, high in sorted(found):
            if merged and low <= merged[-1][1] + ALIGNMENT:
                low, high = merged[-1][0], max(high, merged.pop()[1])
            merged.append((low, high))
        return tuple(merged)

    def shared(self, a: str, b: str) -> int:
        """The most bytes that two buffers can have in common."""
        below, above = aligned(self.buffers[a].size), aligned(self.buffers[b].size)
        # From the one distance to the other, the smaller buffer lies in the larger one.
        inside = sorted((0, below - above))
        best = 0
        for low, high in self.allowed(a, b):
            at = min(max(low, inside[0]), high) if low <= inside[1] else low
            best = max(best, min(below, at + above) - max(0, at))
        return best


def _interval(overlap: Overlap) -> list[Interval]:
    """The distances that a layer allows; offsets are aligned, and so are they."""
    low = aligned(overlap.distance)
    if overlap.is_exact:
        return [(low, low)] if low == overlap.distance else []
    return [(low, FAR)]


class Step:
    """The buffers in use at one step, of which none but those that overlap share bytes."""

    def __init__(self, step: int, distances: Distances) -> None:
        self.sizes = {
            b.name: aligned(b.size)
            for b in distances.buffers.values()
            if b.first <= step <= b.last and b.size
        }
        self.shared = [
            (written, read, distances.shared(written, read))
            for written, read in distances.overlaps
            if written in self.sizes
            and read in self.sizes
            and distances.buffers[written].first == step
        ]

    def least(self, names: Mapping[str, object] | None = None) -> int:
        """Bytes that some of the buffers take at least; all by default.

        Inputs share no bytes with each other, so that an output saves its own size at most.
        """
        saved: dict[str, int] = {}
        for written, read, most in self.shared:
            if names is None or (written in names and read in names):
                saved[written] = min(self.sizes[written], saved.get(written, 0) + most)
        chosen = self.sizes if names is None else names
        return sum(self.sizes[name] for name in chosen) - sum(saved.values())


def steps(distances: Distances) -> list[Step]:
    """The steps at which buffers are in use that are not all in use at another one as well."""
    firsts = sorted({b.first for b in distances.buffers.values()})
    lasts = sorted({b.last for b in distances.buffers.values()})
    found = []
    for i, first in enumerate(firsts):
        # Nothing ends before the next begins: all that is here is there too.
        after = firsts[i + 1] if i + 1 < len(firsts) else FAR
        if any(first <= last < after for last in lasts):
            found.append(Step(first, distances))
    return found


def lower_bound(distances: Distances) -> int:
    """Bytes that are in use at the busiest step: no plan can be smaller."""
    return max((step.least() for step in steps(distances)), default=0)
