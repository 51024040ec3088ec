"""What a memory plan is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

#: Alignment of every buffer and of the arena, in bytes: a word of the core.
ALIGNMENT = 4


@dataclass(frozen=True)
class Buffer:
    """Bytes that are in use from step ``first`` to step ``last``, both included.

    Step i is the i-th layer; -1 is the time before it, when the input is filled in.
    """

    name: str
    size: int
    first: int
    last: int


@dataclass(frozen=True)
class Overlap:
    """A layer's input and output that may share bytes, since it writes over what it has read.

    They may at the one step where both are in use, if ``offsets[read] - offsets[written]`` is
    ``distance`` bytes or more; just ``distance`` where it ``is_exact``.
    """

    written: str
    read: str
    distance: int
    is_exact: bool = False

    def allows(self, written: int, read: int) -> bool:
        """Whether the two may lie at these offsets."""
        apart = read - written
        return apart == self.distance if self.is_exact else apart >= self.distance


@dataclass(frozen=True)
class Problem:
    """What a plan is made for."""

    buffers: tuple[Buffer, ...]
    overlaps: tuple[Overlap, ...] = ()

    def within(self, first: int, last: int) -> Problem:
        """The part of it that is in use at some step from ``first`` to ``last``."""
        there = tuple(b for b in self.buffers if b.first <= last and b.last >= first)
        names = {buffer.name for buffer in there}
        return Problem(there, tuple(o for o in self.overlaps if {o.written, o.read} <= names))


@dataclass(frozen=True)
class Plan:
    """Offsets, in bytes from the arena's start, of every buffer; and the arena's size.

    ``lower_bound`` is what is proved: no plan has a smaller arena.
    """

    buffers: tuple[Buffer, ...]
    offsets: Mapping[str, int]
    arena_bytes: int
    overlaps: tuple[Overlap, ...] = ()
    lower_bound: int = 0

    @property
    def gap(self) -> int:
        """By how many bytes another plan may be smaller, at most."""
        return self.arena_bytes - self.lower_bound

    @property
    def is_optimal(self) -> bool:
        """Whether it is proved that no plan is smaller."""
        return self.gap == 0


def aligned(size: int) -> int:
    """A size rounded up to the alignment."""
    return -(-size // ALIGNMENT) * ALIGNMENT
