"""Samples in pieces: files larger than memory, folders of shards, and arrays, read part by part.

`.npy` files are mapped into memory, so that only what is read of them is there. An `.npz` file
is loaded whole. A folder holds shards in natural order (2 before 10): `x_000.npy` with
`y_000.npy` beside it, or `.npz` files with `x` and `y`.
"""

from __future__ import annotations

import functools
import hashlib
import re
import threading
import warnings
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.errors import DataError, EdgecnnError
from edgecnn.ir import Array, Shape

#: What labels are called in files.
LABELS = "y"


@dataclass(frozen=True)
class _Column:
    """An array in a file: its shape and type, from the header alone."""

    path: Path
    name: str
    shape: Shape
    dtype: str
    #: The file has one sample, without an axis for more.
    is_alone: bool = False

    @property
    def count(self) -> int:
        """The number of samples."""
        return 1 if self.is_alone else self.shape[0]

    @property
    def sample_shape(self) -> Shape:
        """The shape of one sample."""
        return self.shape if self.is_alone else self.shape[1:]

    def read(self) -> Array:
        """All samples; of an ``.npy`` file only what is looked at is read."""
        array = self.as_stored()
        return array[None] if self.is_alone else array

    def as_stored(self) -> Array:
        """The array as the file has it."""
        with _opening, _blamed(self.path):
            facts = self.path.stat()
            return _opened(self.path, self.name, facts.st_size, facts.st_mtime_ns)


@dataclass(frozen=True)
class _Shard:
    """Samples of one file, or of the files that belong together."""

    path: Path
    columns: Mapping[str, _Column]

    @property
    def count(self) -> int:
        return next(iter(self.columns.values())).count


@dataclass(frozen=True)
class FileSamples:
    """The samples of a file or of a folder. They can be pickled: files are opened where read."""

    path: Path
    shards: tuple[_Shard, ...]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return sum(shard.count for shard in self.shards)

    @property
    def has_labels(self) -> bool:
        """Whether there are labels."""
        return LABELS in self.shards[0].columns

    def inputs(self, part: slice) -> Array | dict[str, Array]:
        """The inputs of some samples: an array, or one by the name of each input."""
        columns = {name: self._read(name, part) for name in self.names}
        return columns if len(self.names) > 1 else columns[self.names[0]]

    def labels(self, part: slice) -> Array | None:
        """The labels of some samples, whatever they are; None where there are none."""
        return self._read(LABELS, part) if self.has_labels else None

    def _read(self, name: str, part: slice) -> Array:
        parts = [
            shard.columns[name].read()[begin:end]
            for shard, begin, end in self._overlaps(part.start, part.stop)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _overlaps(self, start: int, stop: int) -> Iterator[tuple[_Shard, int, int]]:
        """The shards that some samples lie in, and from where to where."""
        first = 0
        for shard in self.shards:
            begin, end = max(start - first, 0), min(stop - first, shard.count)
            if begin < end:
                yield shard, begin, end
            first += shard.count

    def by_file(self, part: slice) -> Iterator[tuple[Path, slice]]:
        """Some samples, file by file: those that lie in each."""
        first = 0
        for shard in self.shards:
            begin, end = max(part.start, first), min(part.stop, first + shard.count)
            if begin < end:
                yield shard.path, slice(begin, end)
            first += shard.count

    def identity(self) -> str:
        """A hash of where the files lie, of their sizes and of when they were written."""
        files = [column.path for shard in self.shards for column in shard.columns.values()]
        facts = [(str(p.resolve()), p.stat().st_size, p.stat().st_mtime_ns) for p in files]
        return hashlib.sha256(repr((self.names, facts)).encode()).hexdigest()


# --- files ------------------------------------------------------------------------------------


@contextmanager
def _blamed(path: Path) -> Iterator[None]:
    """Say that a file cannot be read, whatever its reader raises."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a header that Python 2 wrote
            yield
    except EdgecnnError:
        raise
    except Exception as error:  # the readers raise whatever a wrong byte leads to
        raise DataError(f"data file {path} cannot be read: {error}") from error


#: Threads must neither load a file twice nor change the filters of warnings at once.
_opening = threading.Lock()


@functools.lru_cache(maxsize=4)
def _opened(path: Path, name: str, size: int, written: int) -> Array:
    """An array of a file, of a size, that was written at a time."""
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as arrays:
            found: Array = arrays[name]
        return found
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except ValueError:  # an array of no element cannot be mapped
        return np.load(path, allow_pickle=False)


def _header(file: Any) -> tuple[Shape, str]:
    """Shape and type that the header of an ``.npy`` file tells."""
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    shape, _, dtype = read[version](file)
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    return tuple(shape), dtype.str


def _npz_columns(path: Path, names: Sequence[str]) -> dict[str, _Column]:
    """The arrays of an ``.npz`` file with some names, and its labels if it has any."""
    with _blamed(path), zipfile.ZipFile(path) as archive:
        there = [name.removesuffix(".npy") for name in archive.namelist()]
        missing = [name for name in names if name not in there]
        if missing:
            has = ", ".join(sorted(there)) or "none"
            raise DataError(f"data file {path} has no array '{missing[0]}' (it has {has})")
        found = {}
        for name in dict.fromkeys([*names, LABELS]):
            if name in there:
                with archive.open(f"{name}.npy") as file:
                    found[name] = _Column(path, name, *_header(file))
        return found


def _npy_column(path: Path, name: str) -> _Column:
    with _blamed(path), open(path, "rb") as file:
        return _Column(path, name, *_header(file))


def _natural(path: Path) -> list[tuple[int, str]]:
    """A key that sorts numbers within names by their value."""
    return [(int(p), "") if p.isdecimal() else (-1, p) for p in re.split(r"(\d+)", path.name)]


def _npy_shards(folder: Path, names: Sequence[str]) -> list[_Shard]:
    """``x_000.npy`` and what belongs to it."""
    first = names[0]
    shards = []
    for path in sorted(folder.glob(f"{first}_*.npy"), key=_natural):
        ending = path.name.removeprefix(f"{first}_")
        files = {name: folder / f"{name}_{ending}" for name in names}
        for file in files.values():
            if not file.is_file():
                raise DataError(f"shard {path} has no {file.name} beside it")
        labels = folder / f"{LABELS}_{ending}"
        files |= {LABELS: labels} if labels.is_file() else {}
        shards.append(_Shard(path, {name: _npy_column(file, name) for name, file in files.items()}))
    used = {column.path for shard in shards for column in shard.columns.values()}
    lonely = sorted(set(folder.glob(f"{LABELS}_*.npy")) - used, key=_natural)
    if lonely:
        raise DataError(f"shard {lonely[0]} has labels, but no {first}_... beside it")
    return shards


def _folder(folder: Path, names: Sequence[str]) -> list[_Shard]:
    npz = sorted(folder.glob("*.npz"), key=_natural)
    shards = _npy_shards(folder, names)
    if npz and shards:
        raise DataError(f"data folder {folder} has both .npz and .npy shards; keep one kind")
    shards += [_Shard(path, _npz_columns(path, names)) for path in npz]
    if not shards:
        raise DataError(f"data folder {folder} has no shards ({names[0]}_000.npy or .npz files)")
    return shards


def _check_counts(shard: _Shard) -> None:
    """Raise `DataError` where a shard has more of one array than of another."""
    for name, column in shard.columns.items():
        if not column.shape:
            raise DataError(f"data file {column.path} has no samples, but '{name}' of shape ()")
        if column.count == shard.count:
            continue
        if name == LABELS:
            raise DataError(
                f"data file {shard.path} has {shard.count} samples but {column.count} labels"
            )
        raise DataError(
            f"the data in {shard.path} have different numbers of samples for the inputs"
        )


def _check_alike(shards: Sequence[_Shard]) -> None:
    """Raise `DataError` for a shard that does not go with the first one."""
    first = shards[0]
    for shard in shards[1:]:
        if (LABELS in shard.columns) != (LABELS in first.columns):
            lacks, has = (first, shard) if LABELS in shard.columns else (shard, first)
            raise DataError(f"shard {lacks.path} has no labels, but {has.path} has")
        for name, column in shard.columns.items():
            before = first.columns[name]
            if column.shape[1:] != before.shape[1:]:
                raise DataError(
                    f"shard {column.path} has '{name}' of shape {column.shape}, but "
                    f"{before.path} of {before.shape}: samples must have one shape"
                )
            if column.dtype != before.dtype:
                raise DataError(
                    f"shard {column.path} has '{name}' of type {np.dtype(column.dtype)}, but "
                    f"{before.path} of {np.dtype(before.dtype)}"
                )


def open_samples(
    path: str | Path, inputs: Sequence[str] = (), alone: Sequence[Shape] = ()
) -> FileSamples:
    """Find the samples of an ``.npy`` or ``.npz`` file, or of a folder of shards; read none.

    Where there are several ``inputs``, there is an array under each of their names instead of
    ``x``. ``alone`` has the shape of one sample of each input, which a file may hold alone.
    Raises `DataError` for what is missing, not of these formats, lacks an array, or does not fit
    together.
    """
    path = Path(path)
    names = tuple(inputs) if len(inputs) > 1 else ("x",)
    shards = tuple(_with_alone(shard, names, alone) for shard in _find(path, names))
    for shard in shards:
        _check_counts(shard)
    _check_alike(shards)
    return FileSamples(path, shards, tuple(n for n in names if n in shards[0].columns))


def _find(path: Path, names: Sequence[str]) -> list[_Shard]:
    if path.is_dir():
        return _folder(path, names)
    if not path.is_file():
        raise DataError(f"data file {path} does not exist")
    if path.suffix == ".npy":
        return [_Shard(path, {names[0]: _npy_column(path, names[0])})]
    if path.suffix == ".npz":
        return [_Shard(path, _npz_columns(path, names))]
    raise DataError(f"data file {path} is neither .npy nor .npz")


def _with_alone(shard: _Shard, names: Sequence[str], alone: Sequence[Shape]) -> _Shard:
    """A shard whose inputs have the shape of one sample counts as one."""
    shapes = dict(zip(names, alone, strict=False))
    columns = {
        name: replace(column, is_alone=column.shape == shapes.get(name))
        for name, column in shard.columns.items()
    }
    return _Shard(shard.path, columns)
