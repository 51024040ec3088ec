"""Places buffers in the arena: as low as they can be over several orders, or as well as any plan.

`plan` proves its plan to be the smallest, or says how much smaller another may be.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache

from firmware_export.memory.constraints import Distances, lower_bound, meet
from firmware_export.memory.plan import ALIGNMENT, Buffer, Plan, Problem, aligned
from firmware_export.memory.search import OutOfWork, Search, Work, always_fits, groups

#: Orders in which buffers are placed; the plan with the smallest arena wins, the first of equals.
_ORDERS: tuple[Callable[[Buffer], tuple[int, ...]], ...] = (
    lambda b: (-b.size, b.first),
    lambda b: (-b.size * (b.last - b.first + 1), -b.size),
    lambda b: (-(b.last - b.first), -b.size),
    lambda b: (b.first, -b.size),
    lambda b: (-b.last, -b.size),
)

#: Looks at pairs of buffers that a plan may take: a few seconds.
WORK = 3_000_000
#: Networks have fewer buffers in use near each other; among more the search hardly ever ends.
MANY = 80


class _Places:
    """Buffers as they are placed one by one."""

    def __init__(self, distances: Distances) -> None:
        self.distances = distances
        self.offsets: dict[str, int] = {}
        self.placed: list[Buffer] = []

    @property
    def arena_bytes(self) -> int:
        """Where the last buffer ends."""
        return max((self.offsets[b.name] + aligned(b.size) for b in self.placed), default=0)

    def put(self, buffer: Buffer) -> None:
        """Place a buffer as low as it can be."""
        offset = 0
        for first, after in sorted(self._taken(buffer)):
            if first > offset:
                break
            offset = max(offset, after)
        self.put_at(buffer, offset)

    def put_at(self, buffer: Buffer, offset: int) -> None:
        """Place a buffer."""
        self.offsets[buffer.name] = offset
        self.placed.append(buffer)

    def _taken(self, buffer: Buffer) -> Iterator[tuple[int, int]]:
        """Offsets at which a buffer is too near to another one: from the first, before the last."""
        for other in self.placed:
            if meet(buffer, other):
                at = self.offsets[other.name]
                allowed = self.distances.allowed(other.name, buffer.name)
                for (_, below), (above, _) in itertools.pairwise(allowed):
                    yield at + below + ALIGNMENT, at + above


def quick(problem: Problem) -> Plan:
    """Place buffers so that those in use at the same time do not overlap, but where they may.

    A good plan, and a bound that is seldom reached by no plan. Deterministic; takes time quadratic
    in the number of buffers.
    """
    distances = Distances(problem)
    bound = lower_bound(distances)
    best: _Places | None = None
    for order in _ORDERS:
        places = _Places(distances)
        for buffer in sorted(problem.buffers, key=lambda b: (*order(b), b.name)):
            places.put(buffer)
        if best is None or places.arena_bytes < best.arena_bytes:
            best = places
        if best.arena_bytes == bound:
            break
    assert best is not None
    return Plan(problem.buffers, best.offsets, best.arena_bytes, problem.overlaps, bound)


def plan(problem: Problem, work: int = WORK) -> Plan:
    """`search`, or what it found for the same problem before."""
    return _known(problem, work)


def search(problem: Problem, work: int = WORK) -> Plan:
    """Place buffers in the smallest arena that there is.

    The plan says which size is proved to be the least. That it is its own is missed only where
    ``work``, in looks at pairs of buffers, does not suffice; of more than `MANY` buffers a
    twentieth of it is spent. The same problem gives the same plan on every machine.
    """
    best = quick(problem)
    proved, low, high = best.lower_bound, best.lower_bound, best.arena_bytes
    capacity, left = low, work if len(problem.buffers) <= MANY else work // 20
    distances = Distances(problem)
    while low < high:
        allowance = Work(left // 2)
        try:
            places = _within(capacity, distances, allowance)
        except OutOfWork:
            low = capacity + ALIGNMENT  # nothing is proved, but a larger arena is found sooner
        else:
            if places is None:
                low = capacity + ALIGNMENT
                proved = max(proved, low)
            else:
                high = places.arena_bytes
                best = replace(best, offsets=places.offsets, arena_bytes=high)
        left -= left // 2 - max(allowance.left, 0)
        capacity = (low + high) // 2 // ALIGNMENT * ALIGNMENT
    return replace(best, lower_bound=min(proved, high))


_known = lru_cache(maxsize=64)(search)


def _within(capacity: int, distances: Distances, work: Work) -> _Places | None:
    """A plan in so many bytes, or None where there is none. Raises `OutOfWork`."""
    core = [b for b in distances.buffers.values() if b.size]
    easy: list[Buffer] = [b for b in distances.buffers.values() if not b.size]
    before = -1
    while before != len(easy):  # each that is left out makes room for others
        before = len(easy)
        for buffer in list(core):
            work.spend(len(core))
            if always_fits(buffer, core, capacity):
                core.remove(buffer)
                easy.append(buffer)
    places = _Places(distances)
    for group in groups(core):
        offsets = Search(distances, group, capacity, work).run()
        if offsets is None:
            return None
        for buffer in group:
            places.put_at(buffer, offsets[buffer.name])
    for buffer in reversed(easy):
        places.put(buffer)
    return places
