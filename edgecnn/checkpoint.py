"""Keeps the finished pieces of a long computation, so that one that was ended goes on later.

Pieces are JSON, by their number. They are written together in a file every second, whole or not
at all, with a hash of their own: what is cut or changed counts as not computed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
import time
import uuid
from pathlib import Path
from typing import Any

from edgecnn.cache import cache_folder, keep

#: Pieces are written when the last ones were written so long ago.
SECONDS = 1.0
#: Searches in the cache that nobody went on with for so long are removed.
FORGOTTEN_SECONDS = 30 * 24 * 3600


def search_folder(key: str, folder: Path | None) -> Path:
    """Where the pieces of a computation lie, whose ``key`` is a hash of all it depends on.

    In ``folder``, else in the cache.
    """
    return (folder or cache_folder() / "searches") / key[:32]


class Checkpoint:
    """The pieces of one computation in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._new: dict[int, Any] = {}
        self._written = time.monotonic()

    def load(self) -> dict[int, Any]:
        """The pieces that were finished before."""
        found: dict[int, Any] = {}
        for path in sorted(self._folder.glob("*.json")):
            found |= _read(path)
        return found

    def add(self, index: int, piece: Any) -> None:
        """Keep a piece; it may be written a little later."""
        self._new[index] = piece
        if time.monotonic() - self._written >= SECONDS:
            self.write()

    def write(self) -> None:
        """Write what is not written yet."""
        if self._new:
            text = json.dumps(self._new)
            whole = json.dumps({"sha256": _hash(text), "pieces": text})
            keep(self._folder / f"{uuid.uuid4().hex}.json", whole.encode())
        self._new = {}
        self._written = time.monotonic()

    def remove(self) -> None:
        """Remove all pieces, and what others left in the same place long ago."""
        shutil.rmtree(self._folder, ignore_errors=True)
        with contextlib.suppress(OSError):
            for other in self._folder.parent.iterdir():
                if time.time() - other.stat().st_mtime > FORGOTTEN_SECONDS:
                    shutil.rmtree(other, ignore_errors=True)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _read(path: Path) -> dict[int, Any]:
    """The pieces of a file; none where it is not whole."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
        whole = json.loads(path.read_text())
        if whole["sha256"] == _hash(whole["pieces"]):
            return {int(index): piece for index, piece in json.loads(whole["pieces"]).items()}
    return {}
