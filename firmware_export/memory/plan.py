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
class Plan:
    """Offsets, in bytes from the arena's start, of every buffer; and the arena's size."""

    buffers: tuple[Buffer, ...]
    offsets: Mapping[str, int]
    arena_bytes: int


def aligned(size: int) -> int:
    """A size rounded up to the alignment."""
    return -(-size // ALIGNMENT) * ALIGNMENT
