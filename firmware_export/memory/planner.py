"""Places buffers in the arena, each as low as it can be, over several orders."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from firmware_export.memory.plan import ALIGNMENT, Buffer, Overlap, Plan, Problem, aligned

#: Orders in which buffers are placed; the plan with the smallest arena wins, the first of equals.
_ORDERS: tuple[Callable[[Buffer], tuple[int, ...]], ...] = (
    lambda b: (-b.size, b.first),
    lambda b: (-b.size * (b.last - b.first + 1), -b.size),
    lambda b: (-(b.last - b.first), -b.size),
    lambda b: (b.first, -b.size),
    lambda b: (-b.last, -b.size),
)


def _meet(a: Buffer, b: Buffer) -> bool:
    return a.first <= b.last and b.first <= a.last


class _Places:
    """Buffers as they are placed one by one."""

    def __init__(self, overlaps: Sequence[Overlap]) -> None:
        self.overlaps = {(o.written, o.read): o for o in overlaps}
        self.offsets: dict[str, int] = {}
        self.placed: list[Buffer] = []

    def put(self, buffer: Buffer) -> None:
        """Place a buffer as low as it can be."""
        meeting = [other for other in self.placed if _meet(buffer, other)]
        ends = {self.offsets[b.name] + aligned(b.size) for b in meeting}
        for offset in sorted({0, *ends, *self._over(buffer, meeting)}):
            if all(self._are_apart(buffer, offset, other) for other in meeting):
                break
        self.offsets[buffer.name] = offset
        self.placed.append(buffer)

    def _over(self, buffer: Buffer, meeting: Sequence[Buffer]) -> Iterator[int]:
        """Offsets at which a buffer is just far enough from what it may overlap."""
        for other in meeting:
            at = self.offsets[other.name]
            if (buffer.name, other.name) in self.overlaps:
                distance = self.overlaps[buffer.name, other.name].distance
                yield max(0, (at - distance) // ALIGNMENT * ALIGNMENT)
            if (other.name, buffer.name) in self.overlaps:
                yield aligned(max(0, at + self.overlaps[other.name, buffer.name].distance))

    def _are_apart(self, buffer: Buffer, offset: int, other: Buffer) -> bool:
        at = self.offsets[other.name]
        if offset + aligned(buffer.size) <= at or at + aligned(other.size) <= offset:
            return True
        over = self.overlaps.get((buffer.name, other.name))
        under = self.overlaps.get((other.name, buffer.name))
        return bool((over and over.allows(offset, at)) or (under and under.allows(at, offset)))


def plan(problem: Problem) -> Plan:
    """Place buffers so that those in use at the same time do not overlap, but where they may.

    Deterministic. Takes time cubic in the number of buffers.
    """
    best: Plan | None = None
    for order in _ORDERS:
        places = _Places(problem.overlaps)
        for buffer in sorted(problem.buffers, key=lambda b: (*order(b), b.name)):
            places.put(buffer)
        arena = max((places.offsets[b.name] + aligned(b.size) for b in problem.buffers), default=0)
        if best is None or arena < best.arena_bytes:
            best = Plan(problem.buffers, places.offsets, arena, problem.overlaps)
    assert best is not None
    return best


def lower_bound(buffers: Sequence[Buffer]) -> int:
    """Bytes in use at the busiest step: no plan without overlap can be smaller."""
    steps = {buffer.first for buffer in buffers}
    return max(
        (sum(aligned(b.size) for b in buffers if b.first <= step <= b.last) for step in steps),
        default=0,
    )
