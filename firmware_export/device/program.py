"""A linked ELF file of a Cortex-M program, as the emulator and the reports need it."""

from __future__ import annotations

import bisect
import functools
import io
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgecnn.errors import UserError

#: Where the marks of `templates/device_marks.h.j2` are, four words each.
MARKS_SECTION = ".edgecnn_marks"
#: Sections of our linker script without content, whose flags say nothing.
UNOWNED_SECTIONS = (".stack", ".before", ".after")
#: Instead of an offset, where it is not the same each time.
_IN_REGISTER = 0xFFFF_FFFF
_ALLOCATED, _WRITABLE = 2, 1  # ELF section flags SHF_ALLOC, SHF_WRITE


@dataclass(frozen=True)
class Mark:
    """A place in the code that has to do with a tensor, by its number.

    There ``size`` bytes of it are complete, at ``offset`` in the arena: all, or if ``offset`` is
    None the next rows, whose address is in r0. Without a size its layer begins there.
    """

    address: int
    tensor: int
    offset: int | None
    size: int


@dataclass(frozen=True)
class Symbol:
    """A function or an object; Thumb functions without the low bit of their address."""

    name: str
    address: int
    size: int


@dataclass(frozen=True)
class Section:
    """A section that is in memory while the program runs."""

    name: str
    address: int
    size: int
    writable: bool


@dataclass(frozen=True, eq=False)
class Program:
    """What is loaded where, and what is there."""

    segments: tuple[tuple[int, bytes], ...]
    sections: tuple[Section, ...]
    symbols: Mapping[str, Symbol]
    marks: tuple[Mark, ...]

    def symbol(self, name: str) -> Symbol:
        """A symbol by name; `UserError` where there is none."""
        if name not in self.symbols:
            raise UserError(f"the program has no symbol '{name}'")
        return self.symbols[name]

    @property
    def stack(self) -> tuple[int, int]:
        """First address of the stack that we have linked, and the one after its last."""
        begin, end = self.symbol("edgecnn_stack_begin"), self.symbol("edgecnn_stack_end")
        return begin.address, end.address

    @property
    def guards(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Addresses on both sides of the arena that nothing may touch: (first, after the last)."""
        arena = self.symbol("edgecnn_arena")
        begin, end = self.symbol("edgecnn_guards_begin"), self.symbol("edgecnn_guards_end")
        return (begin.address, arena.address), (arena.address + arena.size, end.address)

    @functools.cached_property
    def layers(self) -> tuple[int, ...]:
        """Numbers of the tensors that layers give, in execution order; those of views too."""
        return tuple(sorted({mark.tensor for mark in self.marks if mark.size}))

    @functools.cached_property
    def layer_from(self) -> dict[int, int]:
        """For addresses at which the layer changes, the place in `layers` of what runs then."""
        found: dict[int, int] = {}
        for mark in self.marks:
            if mark.size == 0:
                found[mark.address] = self.layers.index(mark.tensor)
            elif mark.offset is not None:
                after = self.layers.index(mark.tensor) + 1
                found[mark.address] = max(after, found.get(mark.address, 0))
        return found

    def function_at(self, address: int) -> str:
        """The function that an address of code is in, or the address."""
        functions = self._by_address
        at = bisect.bisect_right(functions, (address, chr(0x10FFFF))) - 1
        if at >= 0:
            found = self.symbols[functions[at][1]]
            if address < found.address + max(2, found.size):
                return found.name
        return f"0x{address:08x}"

    @property
    def _by_address(self) -> list[tuple[int, str]]:
        return sorted((s.address, s.name) for s in self.symbols.values())


def parse(data: bytes, where: str) -> Program:
    """Read a 32-bit little-endian Arm ELF file; `UserError` that names ``where`` for others."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        file = ELFFile(io.BytesIO(data))
        if file["e_machine"] != "EM_ARM" or file.elfclass != 32 or not file.little_endian:
            raise UserError(f"{where} is no ELF file for a 32-bit little-endian Arm core")
        return Program(
            tuple(
                (int(s["p_vaddr"]), s.data())
                for s in file.iter_segments("PT_LOAD")
                if s["p_filesz"]
            ),
            tuple(_section(s) for s in file.iter_sections() if s["sh_flags"] & _ALLOCATED),
            _symbols(file),
            _marks(file),
        )
    except (ELFError, struct.error, UnicodeDecodeError, KeyError, AttributeError) as error:
        raise UserError(f"{where} is no ELF file that can be read: {error}") from error


def _section(section: Any) -> Section:
    writable = bool(section["sh_flags"] & _WRITABLE)
    return Section(section.name, int(section["sh_addr"]), int(section["sh_size"]), writable)


def _symbols(file: Any) -> dict[str, Symbol]:
    table = file.get_section_by_name(".symtab")
    if table is None:
        return {}
    found: dict[str, Symbol] = {}
    for entry in table.iter_symbols():
        kind = entry["st_info"]["type"]
        if kind in ("STT_FUNC", "STT_OBJECT", "STT_NOTYPE") and not entry.name.startswith("$"):
            address = int(entry["st_value"]) & (~1 if kind == "STT_FUNC" else ~0)
            found[entry.name] = Symbol(entry.name, address, int(entry["st_size"]))
    return found


def _marks(file: Any) -> tuple[Mark, ...]:
    section = file.get_section_by_name(MARKS_SECTION)
    words = struct.iter_unpack("<4I", section.data()) if section is not None else ()
    return tuple(
        Mark(address & ~1, tensor, None if offset == _IN_REGISTER else offset, size)
        for address, tensor, offset, size in words
    )
