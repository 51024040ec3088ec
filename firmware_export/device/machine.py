"""Runs a program on Unicorn's model of a core, with nothing in memory but flash and RAM."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from edgecnn.errors import CheckError, UserError
from firmware_export.boards import Region
from firmware_export.device.cores import Core
from firmware_export.device.memory import Memory
from firmware_export.device.program import UNOWNED_SECTIONS, Mark, Program

#: What Unicorn maps memory in.
_PAGE = 4096
#: What the stack holds before a run, to see afterwards how far it grew.
_PAINT = b"\xa5"
#: Longest call, in microseconds: a network that does not end is stopped.
_TIMEOUT = 600 * 1_000_000
#: Pages that code can return to; the first that is in no memory of the board is taken. Addresses
#: from 0xF0000000 on would mean the return from an exception.
_RETURN_PAGES = (0x0FFF_F000, 0x1FFE_F000, 0x7FFF_F000, 0xDFFF_F000)


class DeviceError(CheckError):
    """Emulated code did what would crash, or go unnoticed, on a board."""


class Machine:
    """A core with a program in its memory.

    Flash can be read and executed, RAM read and written; everything else is a fault. ``stack``
    is its first address and the one after its last, for programs that do not say it themselves.
    """

    def __init__(
        self, program: Program, core: Core, memory: Memory, stack: tuple[int, int] | None = None
    ) -> None:
        import unicorn
        from unicorn import arm_const

        self.program, self.core, self.memory = program, core, memory
        self._arm = arm_const
        self._unicorn = unicorn
        self.emulator = unicorn.Uc(
            unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB | unicorn.UC_MODE_MCLASS
        )
        self.emulator.ctl_set_cpu_model(getattr(arm_const, f"UC_CPU_ARM_{core.emulated_as}"))
        self._map(memory.flash, unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC)
        self._map(memory.ram, unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE)
        taken = [(r.start, r.end) for r in (memory.flash, memory.ram)]
        self._return = next(p for p in _RETURN_PAGES if not any(b <= p < e for b, e in taken))
        self.emulator.mem_map(self._return, _PAGE, unicorn.UC_PROT_EXEC)
        for address, data in program.segments:
            self._load(address, data)
        self.stack = stack or program.stack
        self._fault: tuple[int, int, int] | None = None
        invalid = unicorn.UC_HOOK_MEM_UNMAPPED | unicorn.UC_HOOK_MEM_PROT
        self.emulator.hook_add(invalid, self._on_invalid)
        #: What has hooks on the emulator and must live as long.
        self.attached: list[Any] = []
        #: Says which layer the code is in, for messages; set by who knows.
        self.where: Callable[[], str] = lambda: ""

    def _map(self, region: Region, permissions: int) -> None:
        if region.start % _PAGE or region.size % _PAGE:
            raise UserError(
                f"memory {region.name} at 0x{region.start:08x} with {region.size} bytes: the "
                f"emulator needs whole pages of {_PAGE} bytes"
            )
        self.emulator.mem_map(region.start, region.size, permissions)

    def _load(self, address: int, data: bytes) -> None:
        try:
            self.emulator.mem_write(address, data)
        except self._unicorn.UcError:
            raise UserError(
                f"the program has {len(data):,} bytes at 0x{address:08x}, where "
                f"{self.memory.name} has no memory: name the board that it is linked for"
            ) from None

    def _on_invalid(self, _: Any, access: int, address: int, size: int, *__: Any) -> bool:
        self._fault = access, address, size
        return False

    @contextlib.contextmanager
    def at_marks(self, marks: Sequence[Mark], reached: Callable[[Mark], None]) -> Iterator[None]:
        """Within it, ``reached`` is called with every mark that the code comes by."""
        by_address: dict[int, list[Mark]] = {}
        for mark in marks:
            by_address.setdefault(mark.address, []).append(mark)

        def on_code(_: Any, address: int, *__: Any) -> None:
            for mark in by_address[address]:
                reached(mark)

        kind = self._unicorn.UC_HOOK_CODE
        hooks = [self.emulator.hook_add(kind, on_code, None, a, a) for a in by_address]
        try:
            yield
        finally:
            for hook in hooks:
                self.emulator.hook_del(hook)

    def first_register(self) -> int:
        """What is in r0."""
        return int(self.emulator.reg_read(self._arm.UC_ARM_REG_R0))

    def paint_stack(self) -> None:
        """Fill the stack, so that `stack_bytes` can tell how much was used."""
        begin, end = self.stack
        self.emulator.mem_write(begin, _PAINT * (end - begin))

    def stack_bytes(self) -> int:
        """Bytes of the stack that were written since it was painted."""
        begin, end = self.stack
        held = bytes(self.emulator.mem_read(begin, end - begin))
        return len(held.lstrip(_PAINT))

    def call(self, function: str, *arguments: int) -> int:
        """Call a function with up to four words; its result, a signed word.

        Raises `DeviceError` that names address, function and layer.
        """
        a, uc = self._arm, self.emulator
        for register, value in zip(
            (a.UC_ARM_REG_R0, a.UC_ARM_REG_R1, a.UC_ARM_REG_R2, a.UC_ARM_REG_R3), arguments,
            strict=False,
        ):  # fmt: skip
            uc.reg_write(register, value)
        uc.reg_write(a.UC_ARM_REG_SP, self.stack[1] & ~7)
        uc.reg_write(a.UC_ARM_REG_LR, self._return | 1)
        self._fault = None
        start = self.program.symbol(function).address
        try:
            uc.emu_start(start | 1, self._return, _TIMEOUT)
        except self._unicorn.UcError as error:
            raise self.fault(str(error)) from None
        if uc.reg_read(a.UC_ARM_REG_PC) & ~1 != self._return:
            raise self.fault("it did not end in time")
        return ctypes.c_int32(uc.reg_read(a.UC_ARM_REG_R0)).value

    def fault(self, reason: str) -> DeviceError:
        """What went wrong, from the access that Unicorn refused or else from ``reason``."""
        pc = self.emulator.reg_read(self._arm.UC_ARM_REG_PC) & ~1
        sp = self.emulator.reg_read(self._arm.UC_ARM_REG_SP)
        if self._fault is not None:
            access, address, size = self._fault
            reason = self._describe_refused(access, address, size)
            if address < self.stack[0] and sp < self.stack[0] + 64:
                reason = f"stack overflow: {reason}"
        return self.fault_at(pc, reason)

    def fault_at(self, pc: int, reason: str) -> DeviceError:
        """A fault of the code at ``pc``."""
        layer = self.where()
        inside = f", {layer}" if layer else ""
        return DeviceError(
            f"{self.core.title}: {reason}, in {self.program.function_at(pc)} at 0x{pc:08x}{inside}"
        )

    def _describe_refused(self, access: int, address: int, size: int) -> str:
        u = self._unicorn
        if access in (u.UC_MEM_FETCH_UNMAPPED, u.UC_MEM_FETCH_PROT):
            return f"code is run at 0x{address:08x}, which is no flash"
        writes = (u.UC_MEM_WRITE_UNMAPPED, u.UC_MEM_WRITE_PROT)
        return self.describe(access in writes, address, size)

    def describe(self, is_write: bool, address: int, size: int) -> str:
        """An access that no memory allows, in words."""
        verb = "write" if is_write else "read"
        return f"{verb} of {size} bytes at 0x{address:08x}, {self._place(address)}"

    def _place(self, address: int) -> str:
        if self.memory.flash.start <= address < self.memory.flash.end:
            return "which is flash"
        if not self.memory.ram.start <= address < self.memory.ram.end:
            return "where there is no memory"
        before = [
            s
            for s in self.program.sections
            if s.address <= address and s.writable and s.name not in UNOWNED_SECTIONS
        ]
        if not before:
            return "in RAM that the program does not own"
        last = max(before, key=lambda section: section.address)
        if address < last.address + last.size:
            return f"in {last.name}"
        return f"{address - last.address - last.size + 1} bytes after the end of {last.name}"

    def read(self, address: int, size: int) -> bytes:
        """Bytes of the emulated memory."""
        return bytes(self.emulator.mem_read(address, size))

    def write(self, address: int, data: bytes) -> None:
        """Put bytes into the emulated memory."""
        self.emulator.mem_write(address, data)
