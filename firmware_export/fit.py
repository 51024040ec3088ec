"""Whether a generated network fits boards, by how much, and what helps where it does not.

Arena and stack lie together in one contiguous span of RAM, weights and code in one of flash: the
largest span of each is what is available. Whatever else a firmware keeps comes on top. The texts
here are those of the terminal, of error messages and of the report.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from firmware_export.boards import Board, Region, all_boards, largest_span
from firmware_export.c_writer import CNetwork
from firmware_export.code_size import code_size

#: RAM for the stack. The deepest chain of generated calls keeps some 300 bytes of locals and
#: registers; an exception frame with FPU registers takes 104. The rest is the caller's.
STACK_ALLOWANCE_BYTES = 2048

#: Flash for what every firmware has: a vector table (up to 1 KB on these parts), start-up code
#: and the compiler's own routines, such as 64-bit products on a Cortex-M0+.
STARTUP_ALLOWANCE_BYTES = 4096

#: What takes less of a memory, besides a larger board.
_REMEDIES = {
    "RAM": "a smaller input (the arena grows with its area)",
    "flash": "fewer channels or layers (weights grow with them)",
}

Number = Callable[[int], str]


def _grouped(value: int) -> str:
    return f"{value:,}"


@dataclass(frozen=True)
class Share:
    """What a network puts into one memory (``RAM`` or ``flash``), and the room there, in bytes."""

    memory: str
    region: Region
    parts: Mapping[str, int]

    @property
    def used(self) -> int:
        """All that the network needs, allowances included."""
        return sum(self.parts.values())

    @property
    def available(self) -> int:
        """The size of the span."""
        return self.region.size

    @property
    def free(self) -> int:
        """What is left; 0 where something is missing."""
        return max(0, self.available - self.used)

    @property
    def missing(self) -> int:
        """What is missing; 0 where the network fits."""
        return max(0, self.used - self.available)

    @property
    def fits(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing

    def balance(self, number: Number = _grouped) -> str:
        """``1,024 free`` or ``1,024 missing``."""
        return f"{number(self.missing)} missing" if self.missing else f"{number(self.free)} free"

    def explain(self, number: Number = _grouped) -> str:
        """What is free or missing, where, and what takes the room."""
        parts = ", ".join(f"{part} {number(size)}" for part, size in self.parts.items())
        room = f"{number(self.used)} of {number(self.available)} bytes"
        balance = self.balance(number)
        return f"{self.memory} {room}, {balance}, in {self.region.name} ({parts})"

    def to_json(self) -> dict[str, Any]:
        """The entry ``ram`` or ``flash`` of a fit; ``parts`` add up to ``used``."""
        return {
            "region": self.region.name,
            "start": self.region.start,
            "used": self.used,
            "available": self.available,
            "free": self.free,
            "missing": self.missing,
            "parts": dict(self.parts),
        }


@dataclass(frozen=True)
class Fit:
    """What a network needs of a board's memory and what there is.

    ``remedies`` say what would help where it does not fit, and ``smallest_board`` is the smallest
    known board on which it does, None where there is none or none was looked for.
    """

    ram: Share
    flash: Share
    remedies: tuple[str, ...] = ()
    smallest_board: str | None = None

    @property
    def fits(self) -> bool:
        """Whether the network fits both memories."""
        return self.ram.fits and self.flash.fits

    @property
    def verdict(self) -> str:
        """Whether the network fits, in words."""
        return "the network fits" if self.fits else "the network does not fit"

    def explain(self, number: Number = _grouped) -> str:
        """One line: both memories, and what would help."""
        shares = f"{self.ram.explain(number)}; {self.flash.explain(number)}"
        return ". ".join(filter(None, (shares, self.advice())))

    def advice(self) -> str:
        """What would help, on one line; "" where nothing need."""
        if not self.remedies:
            return ""
        none = "" if self.smallest_board else ". No known board is large enough"
        return "What would help: " + "; ".join(self.remedies) + none

    def to_json(self) -> dict[str, Any]:
        """The board's entry in ``edgecnn analyze --json``."""
        return {
            "fits": self.fits,
            "ram_used": self.ram.used,
            "ram_available": self.ram.available,
            "flash_used": self.flash.used,
            "flash_available": self.flash.available,
            "ram": self.ram.to_json(),
            "flash": self.flash.to_json(),
            "remedies": list(self.remedies),
            "smallest_board": self.smallest_board,
        }


def fit(board: Board, *, weight_bytes: int, code_bytes: int, arena_bytes: int) -> Fit:
    """The fit of a network on one board; allowances for stack and start-up are added here."""
    ram = {"arena": arena_bytes, "stack": STACK_ALLOWANCE_BYTES}
    flash = {"weights": weight_bytes, "code": code_bytes, "start-up": STARTUP_ALLOWANCE_BYTES}
    return Fit(
        Share("RAM", largest_span(board.ram), ram),
        Share("flash", largest_span(board.flash), flash),
    )


def _by_size() -> list[Board]:
    """The known boards, those with the least RAM first, then those with the least flash."""
    return sorted(all_boards().values(), key=lambda b: (b.ram_span, b.flash_span, b.name))


def _with_remedies(found: Fit, smallest: Board | None) -> Fit:
    shares = (found.ram, found.flash)
    remedies = [_REMEDIES[share.memory] for share in shares if share.missing]
    if smallest is None:
        return replace(found, remedies=tuple(remedies))
    remedies.append(f"{smallest.name} ({smallest.title}), the smallest known board that it fits")
    return replace(found, remedies=tuple(remedies), smallest_board=smallest.name)


def fit_together(board: Board, fits: Sequence[Fit]) -> Fit:
    """The fit on a board of networks in one firmware that take turns in the largest arena.

    ``fits`` are those of each alone, of the same core. Weights and code add up: each network has
    its kernels compiled for its own shapes. Stack and start-up are there once.
    """

    def fit_on(board: Board) -> Fit:
        return fit(
            board,
            weight_bytes=sum(found.flash.parts["weights"] for found in fits),
            code_bytes=sum(found.flash.parts["code"] for found in fits),
            arena_bytes=max(found.ram.parts["arena"] for found in fits),
        )

    found = fit_on(board)
    if found.fits:
        return found
    return _with_remedies(found, next((b for b in _by_size() if fit_on(b).fits), None))


def board_fits(
    directory: Path,
    name: str,
    network: CNetwork,
    boards: Iterable[Board] | None = None,
    *,
    core: str | None = None,
) -> dict[str, Fit]:
    """The fit of a network called ``name`` on some boards, or on all that are known.

    ``directory`` holds its generated files, which are compiled once for each core that is asked
    for, or for ``core`` alone, where its kernels are that one's: on another core an export would
    have others. Where it does not fit, the smallest known board on which it does is looked for.
    """

    @functools.cache
    def code_bytes(core: str) -> int:
        return code_size(directory, name, network, core).bytes

    def fit_on(board: Board) -> Fit:
        return fit(
            board,
            weight_bytes=network.weight_bytes,
            code_bytes=code_bytes(core or board.core),
            arena_bytes=network.plan.arena_bytes,
        )

    chosen = list(all_boards().values() if boards is None else boards)
    fits = {board.name: fit_on(board) for board in chosen}
    if all(found.fits for found in fits.values()):
        return fits
    smallest = next((board for board in _by_size() if fit_on(board).fits), None)
    return {n: f if f.fits else _with_remedies(f, smallest) for n, f in fits.items()}
