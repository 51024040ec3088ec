"""How much flash the code of an exported network takes: compiled where possible, else estimated."""

from __future__ import annotations

import io
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from firmware_export.c_writer import CNetwork
from firmware_export.device.cores import CORES
from firmware_export.toolchain import cortex_m_clang

#: The estimate, for -O2 on a Cortex-M4, where code is largest. Eight networks of 1 to 5 kernels
#: and 3 to 30 layers took 530 to 1,345 bytes a kernel, and up to 83 bytes of parameters a layer.
BYTES_PER_KERNEL = 1536
BYTES_PER_LAYER = 96

_FLAGS = ("-std=c99", "-O2", "-c")
_TIMEOUT_SECONDS = 60


@dataclass(frozen=True)
class CodeSize:
    """Bytes of code and of constants that are not weights; and whether they were compiled."""

    bytes: int
    compiled: bool

    @property
    def how(self) -> str:
        """Where the figure comes from, for reports."""
        return "compiled with Clang -O2" if self.compiled else "estimated"


def estimate(network: CNetwork) -> int:
    """Code bytes without a compiler, on the high side."""
    layers = [layer for layer in network.layers if layer is not None]
    kernels = {layer.kernel for layer in layers}
    return BYTES_PER_KERNEL * len(kernels) + BYTES_PER_LAYER * len(layers)


def read_only_bytes(elf: bytes) -> int:
    """Bytes of the sections of a 32-bit little-endian ELF file that go into flash as they are.

    Raises `ValueError` for anything else.
    """
    from elftools.common.exceptions import ELFError
    from elftools.elf.constants import SH_FLAGS
    from elftools.elf.elffile import ELFFile

    if elf[:6] != b"\x7fELF\x01\x01":
        raise ValueError("not a 32-bit little-endian ELF file")
    try:
        return sum(
            section["sh_size"]
            for section in ELFFile(io.BytesIO(elf)).iter_sections()
            if section["sh_flags"] & SH_FLAGS.SHF_ALLOC
            and not section["sh_flags"] & SH_FLAGS.SHF_WRITE
            and section["sh_type"] != "SHT_NOBITS"
        )
    except ELFError as error:
        raise ValueError(f"not an ELF file that can be read: {error}") from error


def _compiled(directory: Path, name: str, core: str) -> int | None:
    compiler = cortex_m_clang(CORES[core])
    if compiler is None:
        return None
    source = str(directory.resolve() / f"{name}.c")
    with tempfile.TemporaryDirectory(prefix="edgecnn-") as folder:
        target = Path(folder) / "network.o"
        command = [*compiler, *_FLAGS, source, "-o", str(target)]
        try:
            result = subprocess.run(
                command, cwd=folder, capture_output=True, check=False, timeout=_TIMEOUT_SECONDS
            )
            return None if result.returncode != 0 else read_only_bytes(target.read_bytes())
        except (OSError, subprocess.TimeoutExpired, ValueError):
            return None


def code_size(directory: Path, name: str, network: CNetwork, core: str) -> CodeSize:
    """Code bytes of a network on a core such as ``cortex-m4``, weights apart.

    ``directory`` holds the generated files of ``name``. Takes about 0.3 s with the Clang of the
    ziglang package; without it the figure is an estimate.
    """
    compiled = _compiled(directory, name, core)
    return CodeSize(estimate(network), False) if compiled is None else CodeSize(compiled, True)
