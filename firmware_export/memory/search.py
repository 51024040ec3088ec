"""Looks for offsets below a limit, until there are some or there can be none."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence

from firmware_export.memory.constraints import FAR, Distances, Interval, Step, meet, steps
from firmware_export.memory.plan import ALIGNMENT, Buffer, aligned

Options = tuple[Interval, ...]


class OutOfWork(Exception):  # noqa: N818 - an outcome, not an error
    """The work that a search may do is done, and it knows nothing yet."""


class Work:
    """What a search may still do, in looks at a pair of buffers.

    It is counted and not timed, so that every machine ends with the same plan.
    """

    def __init__(self, looks: int) -> None:
        self.left = looks

    def spend(self, looks: int) -> None:
        """Raise `OutOfWork` when nothing is left."""
        self.left -= looks
        if self.left < 0:
            raise OutOfWork


def always_fits(buffer: Buffer, others: Sequence[Buffer], capacity: int) -> bool:
    """Whether there is room for a buffer wherever the others that it meets may lie.

    They leave at most one gap more than they are; not all of these are too small.
    """
    taken = [aligned(b.size) for b in others if b is not buffer and meet(b, buffer)]
    too_small = aligned(buffer.size) - ALIGNMENT
    return capacity - sum(taken) > (len(taken) + 1) * max(too_small, 0)


def groups(buffers: Iterable[Buffer]) -> list[list[Buffer]]:
    """Buffers in use from one step to another at which none of them is."""
    found: list[list[Buffer]] = []
    end = -FAR
    for buffer in sorted(buffers, key=lambda b: (b.first, b.last, b.name)):
        if buffer.first > end:
            found.append([])
        found[-1].append(buffer)
        end = max(end, buffer.last)
    return found


class _State:
    """What is known of each buffer's offset, and of the ways each pair may lie."""

    def __init__(self, low: list[int], high: list[int], ways: list[Options]) -> None:
        self.low, self.high, self.ways = low, high, ways

    def copy(self) -> _State:
        return _State(self.low.copy(), self.high.copy(), self.ways.copy())


class _InUse:
    """The buffers of one step by their places in a search."""

    def __init__(self, step: Step, index: Mapping[str, int]) -> None:
        self.members = [index[name] for name in step.sizes if name in index]
        self.shared: dict[int, list[tuple[int, int]]] = {}
        self.most = {index[name]: size for name, size in step.sizes.items() if name in index}
        for written, read, most in step.shared:
            if written in index and read in index:
                self.shared.setdefault(index[written], []).append((index[read], most))

    def saved(self, inside: Container[int]) -> int:
        """The bytes that some of the buffers can have in common."""
        return sum(
            min(self.most[written], sum(most for read, most in shared if read in inside))
            for written, shared in self.shared.items()
            if written in inside
        )


class Search:
    """Offsets for buffers in ``capacity`` bytes.

    Keeps for each buffer the lowest and highest offset, and for each pair the intervals that the
    difference of their offsets may lie in: one under, or over, the other, or over it as far as
    that is allowed. Where all lie at their lowest, some pairs do not fit; one of these is decided
    upon in each of the ways that are left, and what follows from that is drawn.
    """

    def __init__(
        self, distances: Distances, buffers: Sequence[Buffer], capacity: int, work: Work
    ) -> None:
        self.names = [b.name for b in buffers]
        self.sizes = [aligned(b.size) for b in buffers]
        self.capacity, self.work = capacity, work
        self.pairs: list[tuple[int, int]] = []
        self.ways: list[Options] = []
        self.near: list[list[int]] = [[] for _ in buffers]
        partners = {name for pair in distances.overlaps for name in pair}
        for j, b in enumerate(buffers):
            for i, a in enumerate(buffers[:j]):
                ways = distances.allowed(a.name, b.name)
                if ways == ((-FAR, FAR),):
                    continue
                same = (a.size, a.first, a.last) == (b.size, b.first, b.last)
                if same and partners.isdisjoint((a.name, b.name)):
                    ways = ways[1:]  # twins: which is below does not matter
                for k in (i, j):
                    self.near[k].append(len(self.pairs))
                self.pairs.append((i, j))
                self.ways.append(ways)
        index = {name: i for i, name in enumerate(self.names)}
        self.steps = [_InUse(step, index) for step in steps(distances)]

    def run(self) -> dict[str, int] | None:
        """Offsets by name; None where there are none. Raises `OutOfWork`."""
        high = [self.capacity - size for size in self.sizes]
        start = _State([0] * len(high), high, list(self.ways))
        stack = [start] if self._conclude(start, range(len(high))) else []
        while stack:
            state = stack.pop()
            pair = self._undecided(state)
            if pair is None:
                return dict(zip(self.names, state.low, strict=True))
            found = []
            for way in state.ways[pair]:
                child = state.copy()
                child.ways[pair] = (way,)
                if self._conclude(child, self.pairs[pair]):
                    found.append((self._room(child, pair), child))
            found.sort(key=lambda f: f[0])
            stack += [child for _, child in found]
        return None

    def _room(self, state: _State, pair: int) -> int:
        """How far two buffers can still be moved."""
        i, j = self.pairs[pair]
        return state.high[i] - state.low[i] + state.high[j] - state.low[j]

    def _undecided(self, state: _State) -> int | None:
        """The pair to decide upon: of those that do not fit at the lowest, one with least room."""
        best, least = None, FAR
        self.work.spend(len(self.pairs) // 4)
        for pair, ways in enumerate(state.ways):
            if len(ways) > 1:
                i, j = self.pairs[pair]
                apart = state.low[j] - state.low[i]
                if not any(low <= apart <= high for low, high in ways):
                    room = self._room(state, pair) - 2 * min(self.sizes[i], self.sizes[j])
                    if room < least:
                        best, least = pair, room
        return best

    def _conclude(self, state: _State, changed: Sequence[int]) -> bool:
        """Draw what follows from changes of some buffers; False where nothing is left."""
        waiting, touched = list(changed), set(changed)
        while waiting:
            buffer = waiting.pop()
            self.work.spend(len(self.near[buffer]))
            for pair in self.near[buffer]:
                moved = self._narrow(state, pair)
                if moved is None:
                    return False
                touched.update(moved)
                waiting += [other for other in moved if other not in waiting]
        return all(
            self._has_room(state, step)
            for step in self.steps
            if not touched.isdisjoint(step.members)
        )

    def _narrow(self, state: _State, pair: int) -> Sequence[int] | None:
        """Drop the ways that a pair cannot lie in, and move its offsets to where the last allows.

        Gives the buffers that have less room now; None where no way, or no room, is left.
        """
        i, j = self.pairs[pair]
        low, high, ways = state.low, state.high, state.ways[pair]
        if len(ways) > 1:
            least, most = low[j] - high[i], high[j] - low[i]
            ways = tuple(way for way in ways if way[0] <= most and way[1] >= least)
            state.ways[pair] = ways
            if len(ways) > 1:
                return ()
            if not ways:
                return None
        nearest, farthest = ways[0]
        before = low[i], high[i], low[j], high[j]
        low[j] = max(low[j], low[i] + nearest)
        low[i] = max(low[i], low[j] - farthest)
        high[i] = min(high[i], high[j] - nearest)
        high[j] = min(high[j], high[i] + farthest)
        if low[i] > high[i] or low[j] > high[j]:
            return None
        return [k for k, old in ((i, before[:2]), (j, before[2:])) if (low[k], high[k]) != old]

    def _has_room(self, state: _State, step: _InUse) -> bool:
        """Whether what has to lie between two addresses has room there, at one step."""
        ends = sorted((state.high[i] + self.sizes[i], i) for i in step.members)
        for low in {state.low[i] for i in step.members}:
            taken, inside = low, set()
            for end, i in ends:
                if state.low[i] >= low:
                    inside.add(i)
                    taken += self.sizes[i]
                    if taken > end and taken - step.saved(inside) > end:
                        return False
        return True
