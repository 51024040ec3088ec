"""The user's folder of things that can be computed again: trials, compiled C, pieces of searches.

Several processes may use it at once: a file is there whole or not at all.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


def cache_folder() -> Path:
    """``EDGECNN_CACHE``, else ``edgecnn`` in the user's folder for such files."""
    given = os.environ.get("EDGECNN_CACHE")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(base) if base else Path.home() / ".cache") / "edgecnn"


def keep(entry: Path, data: bytes) -> None:
    """Write a file of the cache whole or not at all; a cache that cannot be written is none."""
    with contextlib.suppress(OSError):
        entry.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=entry.parent, prefix=".")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            os.replace(temporary, entry)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
