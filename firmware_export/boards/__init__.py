"""Boards, one data file each: core, clock, flash and RAM.

Regions whose addresses adjoin count as one span, since the linker may treat them as one; a
core-coupled memory at a far address is a span of its own. `firmware_export.fit` says what lies in
the largest.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from edgecnn.errors import UserError
from firmware_export.device.cores import CORES

_ADDRESS_SPACE = 1 << 32
T = TypeVar("T")


@dataclass(frozen=True)
class Region:
    """Memory from address ``start``, ``size`` bytes.

    ``wait_states`` are core cycles that an access waits beyond the first, at the board's highest
    clock and where no cache helps; ``accelerator`` is what helps, "" for nothing.
    """

    name: str
    start: int
    size: int
    wait_states: int = 0
    accelerator: str = ""

    @property
    def end(self) -> int:
        """The address after the last byte."""
        return self.start + self.size


@dataclass(frozen=True)
class Board:
    """A board, with facts from the document that ``source`` names.

    ``core`` is one of `CORES`, ``clock_hz`` the highest core clock, and ``uart`` the one that the
    board's debugger or its manual makes the console, "" where there is none.
    """

    name: str
    title: str
    core: str
    fpu: bool
    clock_hz: int
    source: str
    flash: tuple[Region, ...]
    ram: tuple[Region, ...]
    uart: str = ""

    @property
    def flash_bytes(self) -> int:
        """All flash."""
        return sum(region.size for region in self.flash)

    @property
    def ram_bytes(self) -> int:
        """All RAM; `ram_span` is what one arena can use."""
        return sum(region.size for region in self.ram)

    @property
    def flash_span(self) -> int:
        """Bytes of the largest contiguous span of flash."""
        return largest_span(self.flash).size

    @property
    def ram_span(self) -> int:
        """Bytes of the largest contiguous span of RAM."""
        return largest_span(self.ram).size

    @property
    def wait_states(self) -> int:
        """Wait states of the flash that a network lies in."""
        return largest_span(self.flash).wait_states

    def to_json(self) -> dict[str, Any]:
        """The board's entry in ``edgecnn boards --json``; tuples become lists."""
        return {
            **dataclasses.asdict(self),
            "flash_bytes": self.flash_bytes,
            "flash_span": self.flash_span,
            "ram_bytes": self.ram_bytes,
            "ram_span": self.ram_span,
            "wait_states": self.wait_states,
        }


def _joined(regions: Sequence[Region]) -> Region:
    """Adjoining regions as one, as slow as the slowest of them."""
    first, last = regions[0], regions[-1]
    names = [region.name for region in regions]
    slowest = max(regions, key=lambda r: r.wait_states)
    name = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    size = last.end - first.start
    return Region(name, first.start, size, slowest.wait_states, slowest.accelerator)


def spans(regions: Sequence[Region]) -> tuple[Region, ...]:
    """Regions in address order, those that adjoin joined to one with a name like "A and B"."""
    runs: list[list[Region]] = []
    for region in sorted(regions, key=lambda r: r.start):
        if runs and runs[-1][-1].end == region.start:
            runs[-1].append(region)
        else:
            runs.append([region])
    return tuple(_joined(run) for run in runs)


def largest_span(regions: Sequence[Region]) -> Region:
    """The largest of the `spans`, the first of them where several are as large."""
    return max(spans(regions), key=lambda span: span.size)


# --- board files ------------------------------------------------------------------------------


def _nearest(text: str, known: Collection[str]) -> str:
    """A question after the known words that a wrong one is nearest to, "" for none."""
    text = text.lower()
    longer = [word for word in known if text and word.startswith(text)]
    near = longer or difflib.get_close_matches(text, list(known), n=3)
    return f"; did you mean {' or '.join(near)}?" if near else ""


class _File:
    """One board file while its fields are checked; every complaint names file and field."""

    def __init__(self, where: str, table: Mapping[str, Any]) -> None:
        self.where = where
        self.table = table

    def error(self, field: str, problem: str) -> UserError:
        return UserError(f"board file {self.where}: field '{field}' {problem}")

    def value(self, table: Mapping[str, Any], field: str, kind: type[T], path: str = "") -> T:
        """A field of exactly that type: TOML's true is a Python int and must not pass for 1."""
        label = f"{path}{field}"
        if field not in table:
            raise self.error(label, "is missing")
        value = table[field]
        if type(value) is not kind:
            names = {str: "a string", int: "an integer", bool: "true or false", list: "a list"}
            raise self.error(label, f"is {value!r}; it must be {names[kind]}")
        if value == "" or value == []:
            raise self.error(label, "is empty")
        return value

    def known_only(self, table: Mapping[str, Any], fields: Sequence[str], path: str = "") -> None:
        for field in table:
            if field not in fields:
                problem = f"is unknown; fields are {', '.join(fields)}{_nearest(field, fields)}"
                raise self.error(f"{path}{field}", problem)

    def regions(self, field: str, optional: Sequence[str] = ()) -> tuple[Region, ...]:
        found: list[Region] = []
        for number, entry in enumerate(self.value(self.table, field, list)):
            path = f"{field}[{number}]."
            if not isinstance(entry, dict):
                raise self.error(field, f"must be tables: write [[{field}]]")
            self.known_only(entry, ("name", "start", "size", *optional), path)
            region = Region(
                self.value(entry, "name", str, path),
                self.value(entry, "start", int, path),
                self.value(entry, "size", int, path),
                self.value(entry, "wait_states", int, path) if "wait_states" in optional else 0,
                self.value(entry, "accelerator", str, path) if "accelerator" in entry else "",
            )
            self._check_region(region, found, path)
            found.append(region)
        return tuple(found)

    def _check_region(self, region: Region, others: Sequence[Region], path: str) -> None:
        if region.size <= 0:
            raise self.error(f"{path}size", f"is {region.size}; it must be positive")
        if region.wait_states < 0:
            raise self.error(
                f"{path}wait_states", f"is {region.wait_states}; it must not be negative"
            )
        if region.start < 0 or region.end > _ADDRESS_SPACE:
            raise self.error(f"{path}start", "puts the region outside the 32-bit address space")
        for other in others:
            if region.start < other.end and other.start < region.end:
                raise self.error(f"{path}start", f"lets '{region.name}' overlap '{other.name}'")

    def board(self) -> Board:
        fields = ("name", "title", "core", "fpu", "clock_hz", "source", "uart", "flash", "ram")
        self.known_only(self.table, fields)
        core = self.value(self.table, "core", str)
        if core not in CORES:
            cores = ", ".join(CORES) + _nearest(core, CORES)
            raise self.error("core", f"is '{core}'; it must be one of {cores}")
        clock = self.value(self.table, "clock_hz", int)
        if clock <= 0:
            raise self.error("clock_hz", f"is {clock}; it must be positive")
        return Board(
            name=self.value(self.table, "name", str),
            title=self.value(self.table, "title", str),
            core=core,
            fpu=self.value(self.table, "fpu", bool),
            clock_hz=clock,
            source=self.value(self.table, "source", str),
            flash=self.regions("flash", ("wait_states", "accelerator")),
            ram=self.regions("ram"),
            uart=self.value(self.table, "uart", str) if "uart" in self.table else "",
        )


def parse(text: str, where: str) -> Board:
    """Read the text of a board file. Raises `UserError` that names ``where`` and the field."""
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise UserError(f"board file {where} is not TOML: {error}") from error
    if not table:
        raise UserError(f"board file {where} is empty; 'edgecnn boards --json' shows the fields")
    return _File(where, table).board()


@functools.cache
def _by_name() -> dict[str, Board]:
    files = [file for file in resources.files(__name__).iterdir() if file.name.endswith(".toml")]
    boards = [parse(file.read_text(encoding="utf-8"), file.name) for file in files]
    return {board.name: board for board in sorted(boards, key=lambda b: b.name)}


def all_boards() -> dict[str, Board]:
    """The boards that come with edgecnn, by name and sorted by it."""
    return dict(_by_name())


def load(name_or_path: str | Path) -> Board:
    """The board of a name, or of a ``.toml`` file of the user's own.

    Raises `UserError` for a name that no board has, with the nearest ones, and for a file that
    cannot be read or used, with its field.
    """
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or text.endswith(".toml") or "/" in text or "\\" in text:
        try:
            return parse(Path(text).read_text(encoding="utf-8"), text)
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"board file {text} cannot be read: {error}") from error
    boards = _by_name()
    if text.lower() in boards:
        return boards[text.lower()]
    raise UserError(
        f"no board is called '{text}'{_nearest(text, boards)} (boards: {', '.join(boards)}; "
        "or the path of a board file ending in .toml)"
    )
