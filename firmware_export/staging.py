"""The files of an export: they appear in their folder all at once, or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from edgecnn.errors import OutputError
from firmware_export import manifest


def write_files(folder: Path, files: Mapping[str, str | bytes]) -> None:
    """Write files, by name, into a folder."""
    for name, content in files.items():
        data = content.encode() if isinstance(content, str) else content
        (folder / name).write_bytes(data)


@contextlib.contextmanager
def staging(directory: Path) -> Iterator[Path]:
    """A folder whose files move to the target once all is done, or go without a trace.

    It lies in the target where that exists, which may be a file system of its own, else beside.
    """
    made: list[Path] = []
    try:
        made = _make_parents(directory)
        parent = directory if directory.is_dir() else directory.parent
        staging = Path(tempfile.mkdtemp(prefix=".edgecnn-", dir=parent))
    except OSError as error:
        _remove_empty(made)
        raise OutputError(f"output folder {directory} cannot be made: {error.strerror}") from None
    try:
        yield staging
        try:
            _publish(staging, directory)
        except OSError as error:
            raise OutputError(
                f"output folder {directory} cannot be written: {error.strerror}"
            ) from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        _remove_empty(made)


def _make_parents(directory: Path) -> list[Path]:
    """Make the folders above one; return those that were not there, the deepest first."""
    above = (directory, *directory.parents)
    for part in above:
        if part.exists() and not part.is_dir():
            raise OutputError(f"output folder {directory} cannot be made: {part} is a file")
    missing = [part for part in above[1:] if not part.exists()]
    for part in reversed(missing):
        part.mkdir(exist_ok=True)
    return missing


def _remove_empty(folders: Sequence[Path]) -> None:
    """Remove folders, the deepest first, as far as they are empty."""
    with contextlib.suppress(OSError):
        for folder in folders:
            folder.rmdir()


def _publish(staging: Path, directory: Path) -> None:
    """Move what is new over, folders file by file; drop what an earlier export had beside it."""
    if not directory.exists():
        staging.chmod(0o755)
        staging.rename(directory)
        return
    _require_places(staging, directory)
    _move(staging, directory)


def _require_places(staging: Path, directory: Path) -> None:
    """Raise `OutputError` where a file would replace a folder, or a folder a file."""
    for path in sorted(staging.iterdir()):
        place = directory / path.name
        if place.exists() and place.is_dir() != path.is_dir():
            kind = "folder" if place.is_dir() else "file"
            raise OutputError(f"output folder {directory} has a {kind} called {path.name}")
        if place.is_dir():
            _require_places(path, place)


def _move(staging: Path, directory: Path) -> None:
    new = sorted(path.name for path in staging.iterdir())
    stale = manifest.files_of(directory).difference(new)
    for name in new:
        if (directory / name).is_dir():
            _move(staging / name, directory / name)
        else:
            os.replace(staging / name, directory / name)
    for name in stale:
        (directory / name).unlink(missing_ok=True)
