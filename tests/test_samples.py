"""Samples in pieces: what is found, refused, and that memory does not grow with a file."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgecnn.errors import DataError
from edgecnn.samples import open_samples
from tests.command_line import images, small_int8, write
from tests.conftest import REPOSITORY
from tests.test_cli_errors import here, refused

__all__ = ["here"]  # a fixture

X = images(12)
Y = np.arange(12)


def npy_shards(folder: Path, *, labels: bool = True) -> Path:
    """Twelve samples in shards of 5, 4 and 3 whose order is not that of their names."""
    folder.mkdir()
    for name, part in (("2", slice(0, 5)), ("10", slice(5, 9)), ("11", slice(9, 12))):
        np.save(folder / f"x_{name}.npy", X[part])
        if labels:
            np.save(folder / f"y_{name}.npy", Y[part])
    return folder


def npz_shards(folder: Path) -> Path:
    folder.mkdir()
    for name, part in (("part9", slice(0, 7)), ("part10", slice(7, 12))):
        np.savez(folder / f"{name}.npz", x=X[part], y=Y[part])
    return folder


def one_file(folder: Path) -> Path:
    folder.mkdir()
    np.savez(folder / "all.npz", x=X, y=Y)
    return folder / "all.npz"


FORMS: dict[str, Callable[[Path], Path]] = {
    "npy shards": npy_shards,
    "npz shards": npz_shards,
    "a file": one_file,
}


@pytest.mark.parametrize("form", FORMS)
def test_every_part_is_that_of_the_whole(form: str, tmp_path: Path) -> None:
    samples = pickle.loads(pickle.dumps(open_samples(FORMS[form](tmp_path / "data"))))
    assert len(samples) == 12
    for start in range(12):
        for stop in range(start + 1, 13):
            part = slice(start, stop)
            np.testing.assert_array_equal(samples.inputs(part), X[part])
            np.testing.assert_array_equal(samples.labels(part), Y[part])


def test_an_npy_file_is_mapped(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    samples = open_samples(tmp_path / "x.npy")
    assert isinstance(samples.inputs(slice(2, 4)), np.memmap)
    assert samples.labels(slice(2, 4)) is None


def test_identity_changes_with_the_files(tmp_path: Path) -> None:
    folder = npy_shards(tmp_path / "data")
    before = open_samples(folder).identity()
    assert before == open_samples(folder).identity()
    os.utime(folder / "y_10.npy", ns=(1, 1))
    assert open_samples(folder).identity() != before


def remove(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def replaced(name: str, array: object) -> Callable[[Path], object]:
    return lambda folder: np.save(folder / name, np.asarray(array))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "labels of a shard": (remove("y_10.npy"), "x_10.npy has no labels, but "),
    "samples of labels": (remove("x_11.npy"), "y_11.npy has labels, but no x_..."),
    "too few labels": (replaced("y_11.npy", [1, 2]), "3 samples but 2 labels"),
    "another shape": (replaced("x_11.npy", np.zeros((3, 1, 8, 9))), "x_11.npy has 'x' of shape"),
    "another type": (replaced("x_11.npy", np.zeros((3, 1, 8, 8), np.int8)), "of type int8, but"),
    "a number": (replaced("x_11.npy", 3.0), "of shape ()"),
    "both kinds": (
        lambda folder: np.savez(folder / "z.npz", x=X, y=Y),
        "both .npz and .npy shards",
    ),
    "cut": (lambda folder: write(folder / "x_10.npy", b"\x93NUMPY"), "x_10.npy cannot be read"),
    "NaN": (replaced("x_11.npy", np.full((3, 1, 8, 8), np.nan, np.float32)), "x_11.npy hold NaN"),
    "empty": (
        lambda folder: [path.unlink() for path in folder.iterdir()],
        "has no shards (x_000.npy or .npz files)",
    ),
    "no labels": (
        lambda folder: [path.unlink() for path in folder.glob("y_*")],
        "has no labels",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_folders_that_do_not_fit_together(damage: str, here: Path) -> None:
    folder = npy_shards(here / "data")
    spoil, expected = DAMAGES[damage]
    spoil(folder)
    call = ("evaluate", "float.pt2", "--calibration", "images.npy", "--data", "data")
    assert expected in refused(here, *call)


def test_shards_of_several_inputs(tmp_path: Path) -> None:
    for shard in ("0", "1"):
        np.save(tmp_path / f"a_{shard}.npy", X[:2])
        np.save(tmp_path / f"b_{shard}.npy", X[2:4])
    columns = open_samples(tmp_path, ("a", "b")).inputs(slice(1, 3))
    assert isinstance(columns, dict)
    np.testing.assert_array_equal(columns["b"], X[[3, 2]])
    (tmp_path / "b_1.npy").unlink()
    with pytest.raises(DataError, match=r"no b_1\.npy beside it"):
        open_samples(tmp_path, ("a", "b"))


#: Runs the command in a process that may have so little memory of its own. Files that are mapped
#: do not count in it.
LIMITED = """
import resource, sys
from edgecnn import cli
resource.setrlimit(resource.RLIMIT_DATA, (400 << 20, 400 << 20))
status = cli.run(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10, file=sys.stderr)
sys.exit(status)
"""


def sparse(path: Path, shape: tuple[int, ...], dtype: str) -> None:
    """An array of zeros that takes no room on the disk."""
    with open(path, "wb") as file:
        header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        file.truncate(file.tell() + size)


#: Reads the ends of a file, and its middle.
READING = """
import resource, sys
from edgecnn.samples import open_samples
resource.setrlimit(resource.RLIMIT_DATA, (200 << 20, 200 << 20))
samples = open_samples(sys.argv[1])
for start in (0, len(samples) // 2, len(samples) - 2):
    assert samples.inputs(slice(start, start + 2)).sum() == 0
print(len(samples))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_parts_of_two_gigabytes_are_read_in_little_memory(tmp_path: Path) -> None:
    sparse(tmp_path / "x.npy", (1 << 15, 1 << 14), "float32")
    command = [sys.executable, "-c", READING, str(tmp_path / "x.npy")]
    result = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (result.stdout, result.stderr) == ("32768\n", "")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_two_gigabytes_are_evaluated_in_little_memory(tmp_path: Path) -> None:
    from edgecnn.frontends.builder import GraphBuilder
    from edgecnn.ir import INT8, QuantParams, Tensor
    from firmware_export.tflite_writer import to_tflite

    builder = GraphBuilder("wide")
    builder.outputs.append(
        builder.emit("relu", [builder.emit("relu", [builder.add_input("x", (1, 1 << 16))])])
    )
    graph = builder.finish()
    quant = QuantParams.per_tensor(0.1, 0)
    tensors = {n: Tensor(n, t.shape, INT8, None, quant) for n, t in graph.tensors.items()}
    write(tmp_path / "wide.tflite", to_tflite(graph.replace(tensors=tensors), "test"))
    folder = tmp_path / "data"
    folder.mkdir()
    samples = (2 << 30) >> 16
    sparse(folder / "x_0.npy", (samples, 1 << 16), "int8")
    np.save(folder / "y_0.npy", np.zeros(samples, np.int64))
    result = subprocess.run(
        [sys.executable, "-c", LIMITED, "evaluate", str(tmp_path / "wide.tflite"), "--data",
         str(folder), "--task", "classification", "--jobs", "2", "--quiet"],
        cwd=REPOSITORY, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr


def test_only_the_samples_that_calibrate_are_read(here: Path) -> None:
    """What comes after them is not a number, and nobody sees it."""
    x = images(30)
    x[20:] = np.nan
    np.save(here / "late.npy", x)
    call = ("evaluate", "float.pt2", "--data", "labelled.npz", "--calibration", "late.npy")
    assert "late.npy hold NaN" in refused(here, *call)
    from tests.command_line import succeeds

    few = succeeds(*call, "--calibration-samples", 20, "--json").json
    np.save(here / "early.npy", x[:20])
    same = succeeds(*call[:-1], "early.npy", "--json").json
    assert few == same


def test_one_sample_may_lie_alone(tmp_path: Path) -> None:
    from edgecnn.sources import open_source

    np.save(tmp_path / "x.npy", X[0])
    source = open_source(small_int8(), tmp_path / "x.npy")
    assert len(source) == 1
    (feeds,) = source.feeds(small_int8(), slice(0, 1)).values()
    np.testing.assert_array_equal(feeds, X[:1].transpose(0, 2, 3, 1)[:, None])
