"""The memory that a program is linked for and run in."""

from __future__ import annotations

from dataclasses import dataclass

from firmware_export.boards import Board, Region, largest_span


@dataclass(frozen=True)
class Memory:
    """Where code and constants go, and where stack, data and arena do."""

    name: str
    flash: Region
    ram: Region


#: Where no board is named: more than any of them has.
ROOMY = Memory(
    "a core with 64 MB of flash and of RAM",
    Region("flash", 0x0000_0000, 1 << 26),
    Region("RAM", 0x2000_0000, 1 << 26),
)


def memory_of(board: Board) -> Memory:
    """The largest contiguous spans of a board's flash and RAM."""
    return Memory(board.title, largest_span(board.flash), largest_span(board.ram))
