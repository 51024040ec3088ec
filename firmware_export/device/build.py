"""Compiles and links an exported network for a core and a board's memory."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgecnn.errors import FitError, UserError
from edgecnn.parity import Artifact
from firmware_export.c_writer import environment
from firmware_export.device.cores import Core
from firmware_export.device.memory import ROOMY, Memory
from firmware_export.device.program import Program, parse
from firmware_export.fit import STACK_ALLOWANCE_BYTES
from firmware_export.toolchain import cortex_m_clang, zig_compiler

#: Compilers by the names that users give.
COMPILERS = ("clang", "gcc")
GCC = "arm-none-eabi-gcc"
#: What both compilers are told.
COMPILE_FLAGS = (
    "-std=c99",
    "-O3",
    "-fomit-frame-pointer",  # gcc does at -O3; the Clang of ziglang keeps a register for it
    "-mthumb",
    "-ffunction-sections",
    "-fdata-sections",
    "-Wall",
    "-Wno-unused-function",
)
_TIMEOUT_SECONDS = 300
#: RAM on both sides of the arena that nothing may touch.
GUARD_BYTES = 64


def default_compiler() -> str:
    """`clang` where the ziglang package is, else `gcc`; `UserError` where there is none."""
    for name in COMPILERS:
        if unavailable(name) is None:
            return name
    raise UserError(f"no compiler for Cortex-M found: pip install ziglang, or install {GCC}")


def unavailable(compiler: str) -> str | None:
    """Why a compiler cannot be used here, or None. `UserError` for an unknown name."""
    if compiler not in COMPILERS:
        raise UserError(f"compiler '{compiler}' is unknown; there are {', '.join(COMPILERS)}")
    if compiler == "clang":
        return None if zig_compiler() else "the package ziglang is not installed"
    return None if shutil.which(GCC) else f"{GCC} is not installed"


def _command(compiler: str, core: Core) -> list[str]:
    if compiler == "gcc":
        # One schedule for all cores with DSP instructions: the others' take up to 1 % more of them.
        tuned = ["-mtune=cortex-m4"] if core.has_dsp else []
        return [GCC, f"-mcpu={core.name}", *tuned, "-mfloat-abi=soft", *COMPILE_FLAGS]
    return [*(cortex_m_clang(core) or ()), *COMPILE_FLAGS]


def build(
    artifact: Artifact,
    core: Core,
    *,
    compiler: str,
    memory: Memory = ROOMY,
    stack_bytes: int = STACK_ALLOWANCE_BYTES,
    defines: Sequence[str] = (),
) -> Program:
    """Build the C of an exported network with an arena for a core.

    Raises `UserError` where the compiler is missing or refuses the code, and `FitError` where the
    program is larger than the memory.
    """
    key = (_digest(artifact), core, compiler, memory, stack_bytes, tuple(defines))
    if key not in _recent:
        with tempfile.TemporaryDirectory(prefix="edgecnn-") as folder:
            path = link(
                Path(folder), artifact, core, compiler=compiler, memory=memory,
                stack_bytes=stack_bytes, defines=defines,
            )  # fmt: skip
            program = parse(path.read_bytes(), f"the program for {core.title}")
        while len(_recent) >= _RECENT:
            _recent.pop(next(iter(_recent)))
        _recent[key] = program
    return _recent[key]


#: The last programs, since an export runs the same one to verify and to count.
_recent: dict[Hashable, Program] = {}
_RECENT = 2


def _digest(artifact: Artifact) -> str:
    """A hash of all that a program is made from, beside what `build` is told."""
    assert artifact.c_directory is not None
    digest = hashlib.sha256(f"{artifact.name} {artifact.float_io} {artifact.is_fed}".encode())
    for path in sorted(artifact.c_directory.glob("*.[ch]")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


@dataclass(frozen=True)
class Parts:
    """What is linked with a network: header that comes first, sources, linker script."""

    header: str = "device_marks.h"
    sources: tuple[str, ...] = ("device.c",)
    script: str = "device.ld"


#: The network alone, for an emulator that plays the rest.
BARE = Parts()


def link(
    folder: Path,
    artifact: Artifact,
    core: Core,
    *,
    compiler: str,
    memory: Memory,
    stack_bytes: int = STACK_ALLOWANCE_BYTES,
    defines: Sequence[str] = (),
    parts: Parts = BARE,
) -> Path:
    """Build a program in a folder, as `build` does; the path of its ELF file.

    Files of ``parts`` that are none of `build`'s own must be in the folder.
    """
    missing = unavailable(compiler)
    if missing is not None:
        raise UserError(f"cannot compile for {core.title} with {compiler}: {missing}")
    assert artifact.c_directory is not None
    directory, name = artifact.c_directory.resolve(), artifact.name
    _write_templates(folder, artifact, memory, stack_bytes)
    sources = [directory / f"{name}.c", directory / f"{name}_weights.c", *parts.sources]
    arguments = [
        *(f"-D{define}" for define in defines),
        "-include", parts.header, f"-I{directory}", *map(str, sources),
        "-nostdlib", "-static", "-Wl,--gc-sections", f"-Wl,-T,{parts.script}", "-o", "program.elf",
        "-lgcc" if compiler == "gcc" else "-lcompiler_rt",
    ]  # fmt: skip
    _run([*_command(compiler, core), *arguments], folder, core, memory)
    return folder / "program.elf"


@dataclass(frozen=True)
class PortFunctions:
    """The functions of the C API for one input or output.

    ``place`` says where in the arena it is; ``convert`` fills it from floats, or gives floats.
    """

    place: str
    convert: str


def port_functions(artifact: Artifact) -> tuple[list[PortFunctions], list[PortFunctions]]:
    """The functions of the inputs, none for rows that are fed, and those of the outputs."""
    graph, name = artifact.graph, artifact.name

    def functions(kind: str, verb: str, count: int) -> list[PortFunctions]:
        ports = [f"{kind}_{i}" if count > 1 else kind for i in range(count)]
        return [PortFunctions(f"{name}_{port}", f"{name}_{verb}_{port}") for port in ports]

    return (
        [] if artifact.is_fed else functions("input", "quantize", len(graph.inputs)),
        functions("output", "dequantize", len(graph.outputs)),
    )


def _kept(artifact: Artifact) -> list[str]:
    """What the linker must not leave out, though nothing in the program calls it."""
    inputs, outputs = port_functions(artifact)
    fed = [f"{artifact.name}_feed_rows", "edgecnn_row"] if artifact.is_fed else []
    kept = [
        f"{artifact.name}_run",
        "edgecnn_arena",
        *fed,
        *(port.place for port in (*inputs, *outputs)),
    ]
    if not artifact.float_io:
        return kept
    graph = artifact.graph
    reals = [f for f, n in zip(outputs, graph.outputs, strict=True) if graph.tensors[n].quant]
    return [*kept, "edgecnn_floats", *(port.convert for port in (*inputs, *reals))]


def _float_bytes(artifact: Artifact) -> int:
    """Bytes of the largest input or output in float32; 0 where the network has no float ends."""
    graph = artifact.graph
    sizes = [4 * graph.tensors[name].size for name in (*graph.inputs, *graph.outputs)]
    return max(sizes) if artifact.float_io else 0


def _write_templates(folder: Path, artifact: Artifact, memory: Memory, stack_bytes: int) -> None:
    facts = {
        "name": artifact.name,
        "NAME": artifact.name.upper(),
        "memory_name": memory.name,
        "flash": memory.flash,
        "ram": memory.ram,
        "stack_bytes": stack_bytes,
        "guard_bytes": GUARD_BYTES,
        "kept": _kept(artifact),
        "float_bytes": _float_bytes(artifact),
        "is_fed": artifact.is_fed,
    }
    for file in ("device.c", "device.ld", "device_marks.h"):
        text = environment().get_template(f"{file}.j2").render(**facts)
        (folder / file).write_text(text)


def _run(command: Sequence[str], folder: Path, core: Core, memory: Memory) -> None:
    try:
        result = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False,
            timeout=_TIMEOUT_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise UserError(f"compiling for {core.title} took over {_TIMEOUT_SECONDS} s") from None
    if result.returncode == 0:
        return
    overflow = re.search(
        r"region [`']?(\w+)'? overflowed by (\d+) bytes|"
        r"will not fit in region '(\w+)': overflowed by (\d+) bytes",
        result.stderr,
    )
    if overflow:
        region = overflow[1] or overflow[3]
        excess = max(int(b) for b in re.findall(r"overflowed by (\d+) bytes", result.stderr))
        kind, size = ("flash", memory.flash.size) if region == "FLASH" else ("RAM", memory.ram.size)
        raise FitError(
            f"the program for {core.title} does not fit {memory.name}: {excess:,} bytes too many "
            f"for its {kind} of {size:,} bytes"
        )
    lines = result.stderr.splitlines()
    telling = [line for line in lines if "error:" in line or "undefined" in line]
    first = (telling or lines or ["no message"])[0]
    raise UserError(f"the generated C does not compile for {core.title}: {first}")
