"""Finds and calls C compilers: the one of the host, else the Clang of the ziglang package."""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from edgecnn.errors import GeneratedCodeError, UserError
from firmware_export.device.cores import Core

#: What generated C must compile with, anywhere.
STRICT_FLAGS = ("-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror")


def zig_compiler() -> list[str] | None:
    """The command of the Clang that the ziglang package brings, or None."""
    if importlib.util.find_spec("ziglang") is None:
        return None
    return [sys.executable, "-m", "ziglang", "cc"]


def cortex_m_clang(core: Core) -> list[str] | None:
    """The command of that Clang for a Cortex-M core, or None."""
    zig = zig_compiler()
    return zig and [*zig, "-target", "thumb-freestanding-eabi", f"-mcpu={core.clang_cpu}"]


@functools.cache
def host_compiler() -> tuple[str, ...]:
    """The command of a C compiler for this machine.

    ``EDGECNN_CC`` if it is set, else the Clang of the ziglang package, else clang, gcc or cc.
    Raises `UserError` where there is none.
    """
    if os.environ.get("EDGECNN_CC"):
        return tuple(shlex.split(os.environ["EDGECNN_CC"]))
    zig = zig_compiler()
    if zig is not None:
        return tuple(zig)
    for name in ("clang", "gcc", "cc"):
        if shutil.which(name):
            return (name,)
    raise UserError("no C compiler found: pip install ziglang, or set EDGECNN_CC")


@functools.cache
def compiler_version(compiler: tuple[str, ...]) -> str:
    """What tells a compiler from others, and from itself after an update."""
    if "ziglang" in compiler:
        return f"zig {importlib.metadata.version('ziglang')}"
    programs = [Path(found).resolve() for word in compiler if (found := shutil.which(word))]
    facts = [(str(p), p.stat().st_size, p.stat().st_mtime_ns) for p in programs]
    return repr((compiler, facts))


def is_clang(compiler: Sequence[str]) -> bool:
    """Whether a compiler is known to take Clang's own flags."""
    return "ziglang" in compiler or Path(compiler[0]).name.startswith(("zig", "clang"))


def native_flag(compiler: Sequence[str]) -> str:
    """The flag that lets a compiler use all instructions of this machine."""
    is_zig = "ziglang" in compiler or Path(compiler[0]).name.startswith("zig")
    is_x86 = platform.machine().lower() in ("x86_64", "amd64", "i686")
    return "-mcpu=native" if is_zig or not is_x86 else "-march=native"


def compile_c(compiler: Sequence[str], arguments: Sequence[str], directory: Path) -> None:
    """Run a compiler in a directory; raise `GeneratedCodeError` with its first complaint."""
    result = subprocess.run(
        [*compiler, *arguments], cwd=directory, capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        lines = [line for line in result.stderr.splitlines() if "error" in line] or ["no message"]
        called = "zig cc" if "ziglang" in compiler else compiler[0]
        raise GeneratedCodeError(f"the generated C does not compile with {called}: {lines[0]}")
