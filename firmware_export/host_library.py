"""Compiles C for this machine and loads it; what was compiled before comes from the cache."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import stat
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgecnn.cache import cache_folder, keep
from edgecnn.errors import GeneratedCodeError
from firmware_export.toolchain import (
    compile_c,
    compiler_version,
    host_compiler,
    is_clang,
    native_flag,
)

FLAGS = ("-std=c99", "-O3", "-fPIC", "-shared")
#: Clang then copies each kernel into its calls, where the shapes of the layer are constants.
SPECIALIZED_FLAGS = ("-DEDGECNN_OUTLINED=", "-mllvm", "-inline-threshold=3000")
#: The file that is compiled; the others it includes.
MAIN = "host.c"
#: Libraries that are kept, those used last.
KEPT = 64


def load(sources: Mapping[str, bytes], *, kept: bool, specialized: bool = False) -> Any:
    """Compile `MAIN` of ``sources``, files by name, for this machine, and load it.

    With ``kept`` the library is looked for in the cache, and kept there. If ``specialized``,
    kernels are compiled for each layer of their own, which takes longer. Raises
    `GeneratedCodeError` for C that does not compile, or that calls what is nowhere defined.
    """
    compiler = host_compiler()
    flags: tuple[str, ...] = (*FLAGS, native_flag(compiler))
    if specialized and is_clang(compiler):
        flags += SPECIALIZED_FLAGS
    key = _key(sources, compiler, flags) if kept else ""
    library = _from_cache(key) if kept else None
    return library or _compiled(sources, compiler, flags, key)


def _compiled(
    sources: Mapping[str, bytes], compiler: Sequence[str], flags: Sequence[str], key: str
) -> Any:
    with tempfile.TemporaryDirectory(prefix="edgecnn-", ignore_cleanup_errors=True) as build:
        for name, text in sources.items():
            (Path(build) / name).write_bytes(text)
        compile_c(compiler, [*flags, MAIN, "-o", "host.so"], Path(build))
        path = Path(build) / "host.so"
        try:
            library = ctypes.CDLL(str(path))
        except OSError as error:  # a function that is called and nowhere defined
            reason = str(error).rpartition(": ")[2]
            raise GeneratedCodeError(f"the generated C cannot be loaded: {reason}") from error
        if key:
            _keep(key, path.read_bytes())
    return library


# --- the cache --------------------------------------------------------------------------------


def _folder() -> Path:
    return cache_folder() / "host-c"


def _key(sources: Mapping[str, bytes], compiler: Sequence[str], flags: Sequence[str]) -> str:
    """A hash of all that a library depends on: sources, compiler, flags and this processor."""
    parts = (sorted(sources.items()), compiler_version(tuple(compiler)), flags, _processor())
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


@functools.cache
def _processor() -> tuple[str, ...]:
    """What tells processors apart that ``-mcpu=native`` compiles otherwise for."""
    try:
        lines = Path("/proc/cpuinfo").read_text().partition("\n\n")[0].splitlines()
    except OSError:
        return platform.machine(), platform.processor(), platform.node()
    told = ("model", "flags", "features", "cpu family", "cpu part", "cpu implementer")
    return platform.machine(), *(line for line in lines if line.lower().startswith(told))


def _from_cache(key: str) -> Any:
    """The library of a key, or None.

    Its name ends in the hash of its content, so one that is cut or changed is not loaded; nor
    is one that others could have written: it is code.
    """
    with contextlib.suppress(OSError):
        if not _is_ours(_folder()):
            return None
        for path in sorted(_folder().glob(f"{key}-*.so")):
            if _is_ours(path) and path.name == _name(key, path.read_bytes()):
                os.utime(path)  # used last
                return ctypes.CDLL(str(path))
    return None


def _is_ours(path: Path) -> bool:
    """Whether nobody else could have put a file, or a file into a folder, there."""
    if not hasattr(os, "getuid"):
        return True
    facts = path.stat()
    return facts.st_uid == os.getuid() and not facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _name(key: str, data: bytes) -> str:
    return f"{key}-{hashlib.sha256(data).hexdigest()[:32]}.so"


def _keep(key: str, data: bytes) -> None:
    folder = _folder()
    with contextlib.suppress(OSError):
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        keep(folder / _name(key, data), data)
        for path in sorted(folder.glob("*.so"), key=_last_use, reverse=True)[KEPT:]:
            path.unlink(missing_ok=True)


def _last_use(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # another process removed it
        return 0.0
