"""Counts, by layer, the blocks that an emulated core runs and the bytes that it reads and writes.

The hooks are C (``counter.c``), compiled when first used; here are their types and their host.
"""

from __future__ import annotations

import ctypes
import functools
import tempfile
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.errors import InvariantError
from firmware_export.device.cycles import BlockCost, CycleModel, block_cost
from firmware_export.device.machine import DeviceError, Machine
from firmware_export.toolchain import compile_c, host_compiler


class Range(ctypes.Structure):
    """Memory that the program may use: from ``begin`` on, before ``end``."""

    _fields_ = [(n, ctypes.c_uint32) for n in ("begin", "end", "writable", "is_flash")]


class _Block(ctypes.Structure):
    _fields_ = [
        *((n, ctypes.c_uint32) for n in ("address", "size", "layer", "used")),
        ("runs", ctypes.c_uint64),
        ("jumps", ctypes.c_uint64),
    ]


class _Traffic(ctypes.Structure):
    _fields_ = [(n, ctypes.c_uint64) for n in ("flash_reads", "ram_reads", "ram_writes")]


_NUMBERS = (
    "block_mask", "range_count", "marks_begin", "marks_end", "needs_alignment",
    "layer", "next", "overflowed",
    "fault_address", "fault_size", "fault_is_write", "fault_is_alignment", "has_fault",
)  # fmt: skip


class _Counters(ctypes.Structure):
    _fields_ = [
        ("blocks", ctypes.POINTER(_Block)),
        ("traffic", ctypes.POINTER(_Traffic)),
        ("ranges", ctypes.POINTER(Range)),
        ("marks", ctypes.POINTER(ctypes.c_uint32)),
        *((n, ctypes.c_void_p) for n in ("stop", "read_register", "write_register")),
        *((n, ctypes.c_uint32) for n in _NUMBERS),
    ]


@dataclass
class Count:
    """What a layer took; bytes are those of single accesses."""

    instructions: int = 0
    cycles: int = 0
    flash_reads: int = 0
    ram_reads: int = 0
    ram_writes: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


@functools.cache
def _library() -> Any:
    """The compiled hooks. The folder goes once the library is loaded, where the system allows."""
    source = resources.files(__package__).joinpath("counter.c").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory(prefix="edgecnn-", ignore_cleanup_errors=True) as folder:
        path = Path(folder)
        (path / "counter.c").write_text(source)
        arguments = ["-std=c99", "-O2", "-fPIC", "-shared", "counter.c", "-o", "counter.so"]
        compile_c(host_compiler(), arguments, path)
        return ctypes.CDLL(str(path / "counter.so"))


def _unicorn_library() -> Any:
    """The library that the unicorn package has loaded; its Python layer has no hooks in C."""
    from unicorn.unicorn_py3 import unicorn as layer

    return layer.uclib


class Counter:
    """Hooks on a machine, for one program.

    ``marks`` maps an address to the layer, from 0 on, that begins there; ``ranges`` is all the
    memory that the program may use.
    """

    def __init__(
        self, machine: Machine, marks: dict[int, int], ranges: Sequence[Range], layers: int
    ) -> None:
        self._machine = machine
        self._layers = layers
        self._begin = min(marks, default=0)
        self._end = max(marks, default=-2) + 2
        table = [marks.get(address, -1) + 1 for address in range(self._begin, self._end, 2)]
        self._marks = (ctypes.c_uint32 * max(1, len(table)))(*table)
        self._ranges = (Range * len(ranges))(*ranges)
        self._traffic = (_Traffic * (layers + 1))()
        self._counters = _Counters()
        self._reset()
        self._hook()
        machine.attached.append(self)  # the emulator keeps pointers into it

    def _hook(self) -> None:
        import unicorn

        hooks, uc = _library(), _unicorn_library()
        self._counters.stop = ctypes.cast(uc.uc_emu_stop, ctypes.c_void_p)
        self._counters.read_register = ctypes.cast(uc.uc_reg_read, ctypes.c_void_p)
        self._counters.write_register = ctypes.cast(uc.uc_reg_write, ctypes.c_void_p)
        accesses = unicorn.UC_HOOK_MEM_READ | unicorn.UC_HOOK_MEM_WRITE
        self._add(unicorn.UC_HOOK_BLOCK, hooks.edgecnn_on_block, 1, 0)
        self._add(accesses, hooks.edgecnn_on_access, 1, 0)
        for address in range(self._begin, self._end, 2):
            if self._marks[(address - self._begin) // 2]:
                self._add(unicorn.UC_HOOK_CODE, hooks.edgecnn_on_mark, address, address)

    def _add(self, kind: int, function: Any, begin: int, end: int) -> None:
        handle = ctypes.c_size_t()
        status = _unicorn_library().uc_hook_add(
            self._machine.emulator._uch,
            ctypes.byref(handle),
            kind,
            ctypes.cast(function, ctypes.c_void_p),
            ctypes.byref(self._counters),
            ctypes.c_uint64(begin),
            ctypes.c_uint64(end),
        )
        if status != 0:
            raise InvariantError(f"Unicorn refused a hook (error {status})")

    @property
    def layer(self) -> int:
        """The layer that runs."""
        return int(self._counters.layer)

    def _reset(self) -> None:
        """Empty tables; the hooks are there from the start, so there must always be some."""
        c = self._counters
        blocks = 1 << (256 * (self._layers + 2) - 1).bit_length()
        self._blocks = (_Block * blocks)()
        ctypes.memset(self._traffic, 0, ctypes.sizeof(self._traffic))
        c.blocks = ctypes.cast(self._blocks, ctypes.POINTER(_Block))
        c.traffic = ctypes.cast(self._traffic, ctypes.POINTER(_Traffic))
        c.ranges = ctypes.cast(self._ranges, ctypes.POINTER(Range))
        c.marks = ctypes.cast(self._marks, ctypes.POINTER(ctypes.c_uint32))
        c.block_mask, c.range_count = blocks - 1, len(self._ranges)
        c.marks_begin, c.marks_end = self._begin, self._end
        c.needs_alignment = self._machine.core.needs_alignment
        c.layer = c.overflowed = c.has_fault = 0

    def call(self, function: str, *arguments: int) -> int:
        """Call a function, as `Machine.call` does, and count on.

        An access outside of ``ranges`` is a `DeviceError`, to the byte.
        """
        c, machine = self._counters, self._machine
        c.next = machine.program.symbol(function).address
        try:
            result = machine.call(function, *arguments)
        except DeviceError:
            if c.has_fault:
                raise self._fault() from None
            raise
        if c.overflowed:
            raise InvariantError("there are more basic blocks than were reckoned with")
        return result

    def _fault(self) -> DeviceError:
        c = self._counters
        text = self._machine.describe(bool(c.fault_is_write), c.fault_address, c.fault_size)
        reason = f"unaligned {text}" if c.fault_is_alignment else text
        return self._machine.fault(reason)

    def counts(self, model: CycleModel) -> list[Count]:
        """What each layer took in all calls; what comes after the last is the last one's."""
        found = [Count() for _ in range(self._layers)]
        costs: dict[tuple[int, int], BlockCost] = {}
        table = np.ctypeslib.as_array(self._blocks)
        for block in table[table["used"] != 0]:
            where = int(block["address"]), int(block["size"])
            if where not in costs:
                code = self._machine.read(*where)
                costs[where] = block_cost(code, where[0], model.table)
            layer = found[min(int(block["layer"]), self._layers - 1)]
            runs, jumps = int(block["runs"]), int(block["jumps"])
            layer.instructions += runs * costs[where].instructions
            layer.cycles += runs * costs[where].cycles + jumps * model.table.refill
        for number, traffic in enumerate(self._traffic):
            layer = found[min(number, self._layers - 1)]
            layer.flash_reads += traffic.flash_reads
            layer.ram_reads += traffic.ram_reads
            layer.ram_writes += traffic.ram_writes
        for layer in found:
            layer.cycles = model.cycles(layer.cycles)
        return found
