"""Builds images for QEMU's models of Arm's MPS2 boards, and boots them.

Cores and memory are those of the board files of the same names.
"""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from edgecnn.errors import CheckError, GeneratedCodeError
from edgecnn.parity import Artifact
from firmware_export import boards
from firmware_export.c_writer import environment
from firmware_export.device.build import Parts, link
from firmware_export.device.cores import CORES, Core
from firmware_export.device.memory import Memory, memory_of
from firmware_export.device.program import parse

QEMU = "qemu-system-arm"
SAMPLES_FILE, TENSORS_FILE = "samples.bin", "tensors.bin"
#: A machine that writes nothing for so long is stopped.
IDLE_SECONDS = 60.0
#: Some of it is there for the start-up code.
STACK_BYTES = 1 << 14

_FAULT_RECORD = 0xFFFF_FFFF
#: Number and size of the record, PC, CFSR, HFSR, MMFAR and BFAR.
_FAULT_STRUCT = struct.Struct("<7I")
_BAD_FILE, _NETWORK_FAILED, _FAULT = 2, 3, 4
_PARTS = Parts("qemu_trace.h", ("device.c", "qemu_startup.c"), "qemu.ld")
#: Bits of the Configurable Fault Status Register, those that say most first, and their meaning.
_CAUSES = (
    ((1 << 4) | (1 << 12) | (1 << 20), "stack overflow"),
    (1 << 7, "access of 0x{mmfar:08x}, which is no memory or is code that may not be written"),
    (1 << 15, "access of 0x{bfar:08x}, where there is no memory"),
    ((1 << 1) | (1 << 9) | (1 << 10), "access of an address where there is no memory"),
    ((1 << 0) | (1 << 8), "code is run where there is none"),
    (1 << 24, "unaligned access"),
    ((1 << 16) | (1 << 17), "instruction that the core does not have"),
    (1 << 19, "instruction of a floating-point unit that is off"),
)


class QemuError(CheckError):
    """What a booted image did that would crash a board."""


@dataclass(frozen=True)
class QemuMachine:
    """A board that QEMU models."""

    name: str
    core: Core
    memory: Memory


def _machine(name: str) -> QemuMachine:
    board = boards.load(name)
    memory = replace(memory_of(board), name=f"QEMU's {name}")
    return QemuMachine(name, CORES[board.core], memory)


MACHINES = tuple(map(_machine, ("mps2-an385", "mps2-an386", "mps2-an500", "mps2-an505")))


def unavailable() -> str | None:
    """Why no image can be booted here, or None."""
    return None if shutil.which(QEMU) else f"{QEMU} is not installed"


@dataclass(frozen=True)
class Port:
    """An input or output as an image reads or writes it.

    ``number`` is that of the int8 (or int32) tensor inside, ``traced_bytes`` its size; ``record``
    the number under which an output is written once more, through the function of the C API.
    """

    suffix: str
    number: int
    traced_bytes: int
    bytes: int
    is_float: bool
    record: int = 0


class Image:
    """A linked image in a folder of its own, in which samples and tensors lie too."""

    def __init__(
        self,
        artifact: Artifact,
        machine: QemuMachine,
        compiler: str,
        folder: Path,
        ports: tuple[Sequence[Port], Sequence[Port]],
    ) -> None:
        """Link it. Raises `FitError` where the machine has too little memory."""
        self.machine = machine
        self._folder = folder
        _write_templates(folder, artifact, machine, ports)
        path = link(
            folder, artifact, machine.core, compiler=compiler, memory=machine.memory,
            stack_bytes=STACK_BYTES, parts=_PARTS,
        )  # fmt: skip
        #: What was linked.
        self.program = parse(path.read_bytes(), f"the image for {machine.name}")

    def boot(self, samples: bytes) -> bytes:
        """Give it samples, one after the other; the records of tensors that it writes.

        Raises `QemuError` for a fault, and where nothing is written for `IDLE_SECONDS`.
        """
        (self._folder / SAMPLES_FILE).write_bytes(samples)
        tensors = self._folder / TENSORS_FILE
        tensors.unlink(missing_ok=True)
        status, message = self._run(tensors)
        records = tensors.read_bytes() if tensors.exists() else b""
        if status != 0:
            raise self._failure(status, message, records)
        return records

    def _run(self, tensors: Path) -> tuple[int, str]:
        command = [
            QEMU, "-M", self.machine.name, "-nographic", "-monitor", "none", "-serial", "none",
            "-semihosting-config", "enable=on,target=native", "-kernel", "program.elf",
        ]  # fmt: skip
        written = -1
        with (
            (self._folder / "qemu.log").open("w+", errors="replace") as log,
            subprocess.Popen(
                command, cwd=self._folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            ) as process,
        ):
            while True:
                try:
                    status = process.wait(IDLE_SECONDS)
                    break
                except subprocess.TimeoutExpired:
                    size = tensors.stat().st_size if tensors.exists() else -1
                    if size == written:
                        process.kill()
                        raise QemuError(
                            f"{self._where}: no tensor was complete for {IDLE_SECONDS:g} seconds"
                        ) from None
                    written = size
                except BaseException:
                    process.kill()
                    raise
            log.seek(0)
            return status, log.read()

    @property
    def _where(self) -> str:
        return f"{self.machine.name} ({self.machine.core.title})"

    def _failure(self, status: int, message: str, records: bytes) -> Exception:
        if status == _FAULT and len(records) >= _FAULT_STRUCT.size:
            number, _, *registers = _FAULT_STRUCT.unpack(records[-_FAULT_STRUCT.size :])
            if number == _FAULT_RECORD:
                return QemuError(f"{self._where}: {self._fault(*registers)}")
        if status == _NETWORK_FAILED:
            return GeneratedCodeError(f"the generated C ended with an error on {self._where}")
        if status == _BAD_FILE:
            return QemuError(f"{self._where}: a file in {self._folder} cannot be read or written")
        lines = [line for line in message.splitlines() if line.strip()]
        telling = [line for line in lines if "rror" in line or "ockup" in line or QEMU in line]
        reason = (telling or lines or ["no message"])[0].strip()
        return QemuError(f"{self._where}: {QEMU} ended with status {status}: {reason}")

    def _fault(self, pc: int, cfsr: int, hfsr: int, mmfar: int, bfar: int) -> str:
        causes = [text.format(mmfar=mmfar, bfar=bfar) for bits, text in _CAUSES if cfsr & bits]
        cause = causes[0] if causes else "a fault"
        where = f", in {self.program.function_at(pc & ~1)} at 0x{pc & ~1:08x}" if pc else ""
        return f"{cause}{where} (CFSR 0x{cfsr:08x}, HFSR 0x{hfsr:08x})"


def _write_templates(
    folder: Path,
    artifact: Artifact,
    machine: QemuMachine,
    ports: tuple[Sequence[Port], Sequence[Port]],
) -> None:
    inputs, outputs = ports
    facts = {
        "name": artifact.name,
        "NAME": artifact.name.upper(),
        "is_fed": artifact.is_fed,
        "machine": machine.name,
        "memory_name": machine.memory.name,
        "flash": machine.memory.flash,
        "ram": machine.memory.ram,
        "stack_bytes": STACK_BYTES,
        "samples_file": SAMPLES_FILE,
        "tensors_file": TENSORS_FILE,
        "inputs": inputs,
        "outputs": outputs,
        "is_v8m": machine.core.name == "cortex-m33",
        "float_bytes": max((p.bytes for p in (*inputs, *outputs) if p.is_float), default=0),
    }
    for file in (_PARTS.header, "qemu_startup.c", _PARTS.script):
        (folder / file).write_text(environment().get_template(f"{file}.j2").render(**facts))
