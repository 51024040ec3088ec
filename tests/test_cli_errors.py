"""Wrong input: exit status 2, one line that names what is wrong, and nothing left behind."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import edgecnn
from edgecnn.errors import UnsupportedError
from firmware_export.export import export as write_export
from tests.command_line import (
    edgecnn_command,
    fails,
    images,
    small,
    small_int8,
    small_pt2,
    small_tflite,
    write,
    write_images,
)

Make = Callable[[Path], Path]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand in, with sound models and data in it."""
    write(tmp_path / "int8.tflite", small_tflite())
    write(tmp_path / "float.pt2", small_pt2())
    write_images(tmp_path / "images.npy")
    write_images(tmp_path / "labelled.npz", labels=True)
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def tree(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def refused(folder: Path, *arguments: object) -> str:
    """The line of a call that must be refused and leave nothing behind."""
    before = tree(folder)
    line = fails(2, *arguments)
    assert tree(folder) == before
    return line


# --- model files ------------------------------------------------------------------------------


def rezipped(data: bytes, leave_out: str) -> bytes:
    """A .pt2 archive without the files whose name ends so."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(result, "w") as new:
        for name in old.namelist():
            if not name.endswith(leave_out):
                new.writestr(name, old.read(name))
    return result.getvalue()


def pickled() -> bytes:
    buffer = io.BytesIO()
    torch.save(small().state_dict(), buffer)
    return buffer.getvalue()


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


MODELS: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "empty": ("a.tflite", lambda: b"", "empty"),
    "ten bytes": ("a.tflite", lambda: small_tflite()[:10], "truncated or corrupted"),
    "half": ("a.tflite", lambda: small_tflite()[: len(small_tflite()) // 2], "truncated"),
    "all but the end": ("a.tflite", lambda: small_tflite()[:-40], "truncated"),
    "an image": ("a.tflite", lambda: b"\x89PNG\r\n\x1a\n" + bytes(200), "not a TFLite file"),
    "text": ("a.tflite", lambda: b"hello world, I am no model", "not a TFLite file"),
    "wrong root": ("a.tflite", lambda: b"\xff\xff\xff\x7f" + small_tflite()[4:], "truncated or"),
    "only an identifier": ("a.tflite", lambda: b"\x08\0\0\0TFL3" + bytes(64), "TFLite file"),
    "empty pt2": ("a.pt2", lambda: b"", "empty"),
    "half a pt2": ("a.pt2", lambda: small_pt2()[: len(small_pt2()) // 2], "not a .pt2 file"),
    "a foreign pt2": ("a.pt2", lambda: b"PK\x03\x04" + bytes(100), "not a .pt2 file"),
    "a tflite as pt2": ("a.pt2", small_tflite, "not a .pt2 file"),
    "a state dict as pt2": ("a.pt2", pickled, "not a .pt2 file"),
    "a flipped pt2": ("a.pt2", lambda: flipped(small_pt2(), len(small_pt2()) // 3), "a.pt2"),
    "a pt2 without weights": ("a.pt2", lambda: rezipped(small_pt2(), "config.json"), "a.pt2"),
    "unknown extension": ("a.h5", lambda: b"\x89HDF", "extension '.h5'"),
    "no extension": ("model", lambda: b"x", "extension ''"),
}


@pytest.mark.parametrize("command", ["export", "analyze"])
@pytest.mark.parametrize("case", MODELS)
def test_model_files(case: str, command: str, here: Path) -> None:
    name, data, expected = MODELS[case]
    write(here / name, data())
    output = ("-o", "out") if command == "export" else ()
    line = refused(here, command, name, *output)
    assert name in line
    assert expected in line


@pytest.mark.parametrize("command", ["export", "analyze", "evaluate", "verify"])
@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("missing.tflite", "missing.tflite does not exist"),
        ("missing.pt2", "missing.pt2 does not exist"),
        ("nowhere/missing.tflite", "does not exist"),
    ],
)
def test_missing_models(command: str, model: str, expected: str, here: Path) -> None:
    options = {"export": ["-o", "out"], "evaluate": ["--data", "labelled.npz"]}.get(command, [])
    assert expected in refused(here, command, model, *options)


def test_a_folder_called_like_a_model(here: Path) -> None:
    (here / "dir.tflite").mkdir()
    assert "dir.tflite" in refused(here, "export", "dir.tflite", "-o", "out")


def test_corrupted_models_never_end_in_a_fault_of_ours(here: Path) -> None:
    """Random bytes of a sound file are changed: the file is read, or refused in one line."""
    rng = np.random.default_rng(0)
    refusals = []
    for _ in range(300):
        data = bytearray(small_tflite())
        for at in rng.integers(0, len(data), 3):
            data[at] = rng.integers(0, 256)
        write(here / "changed.tflite", bytes(data))
        try:
            edgecnn.load(here / "changed.tflite")
        except edgecnn.errors.UserError as error:
            refusals.append(error)
    assert len(refusals) > 30
    assert all("changed.tflite" in str(e) or isinstance(e, UnsupportedError) for e in refusals)


# --- what cannot be computed ------------------------------------------------------------------


def test_all_unsupported_operators_are_named(here: Path) -> None:
    call = ("tests.command_line:unsupported", "--input-shape", "1,1,8,8")
    line = refused(here, "export", *call, "-o", "out", "--calibration", "images.npy")
    assert line.startswith("2 unsupported operators: ")
    for operator, tensor in (("erfinv", "erfinv"), ("cumsum", "cumsum")):
        assert f"{operator}" in line
        assert f"at '{tensor}'" in line


def test_analyze_lists_unsupported_operators_as_json(here: Path) -> None:
    call = ("tests.command_line:unsupported", "--input-shape", "1,1,8,8")
    outcome = edgecnn_command("analyze", *call, "--json")
    assert outcome.status == 2
    found = outcome.json["unsupported"]
    assert [problem["tensor"] for problem in found] == ["erfinv", "cumsum"]
    assert all(problem["reason"] for problem in found)
    assert outcome.err.count("\n") == 1


# --- calibration and labelled data ------------------------------------------------------------


def saved(array: object, pickle: bool = False) -> Make:
    def make(folder: Path) -> Path:
        np.save(folder / "bad.npy", np.asarray(array), allow_pickle=pickle)
        return folder / "bad.npy"

    return make


def zipped(**arrays: object) -> Make:
    def make(folder: Path) -> Path:
        np.savez(folder / "bad.npz", **{k: np.asarray(v) for k, v in arrays.items()})
        return folder / "bad.npz"

    return make


def cut(make: Make, length: int) -> Make:
    def shorten(folder: Path) -> Path:
        path = make(folder)
        return write(path, path.read_bytes()[:length])

    return shorten


def raw(name: str, data: bytes) -> Make:
    return lambda folder: write(folder / name, data)


def with_value(value: float) -> np.ndarray:  # type: ignore[type-arg]
    x = images(5)
    x[3, 0, 2, 1] = value
    return x


OBJECTS = np.array([1, "a", None], object)
CALIBRATION: dict[str, tuple[Make, str]] = {
    "wrong shape": (saved(np.zeros((5, 1, 8, 7))), "(5, 1, 8, 7); the network takes (samples, 1,"),
    "NHWC for NCHW": (saved(np.zeros((5, 8, 8, 1))), "(5, 8, 8, 1)"),
    "a scalar": (saved(3.0), "shape ()"),
    "empty": (saved(np.zeros((0, 1, 8, 8))), "empty"),
    "NaN": (saved(with_value(np.nan)), "NaN or infinite"),
    "infinite": (saved(with_value(np.inf)), "NaN or infinite"),
    "minus infinite": (saved(with_value(-np.inf)), "NaN or infinite"),
    "beyond float32": (saved(images(5).astype(np.float64) * 1e300), "infinite"),
    "huge": (saved(with_value(1e38)), "too large for int8 on the calibration data"),
    "overflowing": (saved(with_value(3e38)), "on the calibration data"),
    "objects": (saved(OBJECTS, pickle=True), "bad.npy cannot be read"),
    "objects in npz": (zipped(x=OBJECTS), "bad.npz cannot be read"),
    "strings": (saved(["a", "b"]), "numbers are needed"),
    "complex": (saved(images(5).astype(np.complex64)), "numbers are needed"),
    "dates": (saved(np.zeros((5, 1, 8, 8), "datetime64[s]")), "numbers are needed"),
    "npz without x": (zipped(z=images(5)), "no array 'x' (it has z)"),
    "half an npy": (cut(saved(images(5)), 300), "bad.npy cannot be read"),
    "half an npz": (cut(zipped(x=images(5)), 300), "bad.npz cannot be read"),
    "no bytes": (raw("bad.npy", b""), "bad.npy cannot be read"),
    "no bytes, npz": (raw("bad.npz", b""), "bad.npz cannot be read"),
    "text": (raw("bad.npy", b"1.0, 2.0, 3.0\n"), "bad.npy cannot be read"),
    "unknown extension": (raw("bad.csv", b"1,2,3\n"), "bad.csv is neither .npy nor .npz"),
    "missing": (lambda folder: folder / "none.npy", "none.npy does not exist"),
    "a folder": (lambda folder: folder / "folder", "has no shards"),
}


@pytest.mark.parametrize("case", CALIBRATION)
def test_calibration(case: str, here: Path) -> None:
    make, expected = CALIBRATION[case]
    path = make(here)
    line = refused(here, "export", "float.pt2", "-o", "out", "--calibration", path)
    assert expected in line


def test_a_float_model_needs_calibration(here: Path) -> None:
    line = refused(here, "export", "float.pt2", "-o", "out")
    assert "float.pt2 is a float model" in line
    assert "--calibration" in line


def labels(y: object) -> Make:
    return zipped(x=images(5), y=y)


LABELLED: dict[str, tuple[Make, str]] = {
    "no labels": (zipped(x=images(5)), "no labels"),
    "npy": (saved(images(5)), "no labels"),
    "too few": (labels([0, 1, 2]), "5 samples but 3 labels"),
    "real numbers": (labels([0.5, 1, 2, 3, 4]), "not a list of integers"),
    "one-hot": (labels(np.eye(5, 10, dtype=int)), "not a list of integers"),
    "strings": (labels(list("abcde")), "not a list of integers"),
    "no such class": (labels([0, 1, 2, 3, 10]), "label 10 is out of range"),
    "negative": (labels([0, 1, -2, 3, 4]), "label -2 is out of range"),
    "wrong shape": (zipped(x=np.zeros((5, 3)), y=range(5)), "shape (5, 3)"),
    "empty": (zipped(x=np.zeros((0, 1, 8, 8)), y=np.zeros(0, int)), "empty"),
    "missing": (lambda folder: folder / "none.npz", "none.npz does not exist"),
}


@pytest.mark.parametrize("command", ["export", "evaluate"])
@pytest.mark.parametrize("case", LABELLED)
def test_labelled_data(case: str, command: str, here: Path) -> None:
    make, expected = LABELLED[case]
    output = ("-o", "out") if command == "export" else ()
    line = refused(
        here, command, "float.pt2", *output, "--calibration", "images.npy", "--data", make(here)
    )
    assert expected in line


def test_verify_inputs(here: Path) -> None:
    np.save("short.npy", np.zeros((3, 8)))
    assert "shape (3, 8)" in refused(here, "verify", "int8.tflite", "--inputs", "short.npy")
    assert "does not exist" in refused(here, "verify", "int8.tflite", "--inputs", "none.npy")


# --- where to write ---------------------------------------------------------------------------


OUTPUTS = {
    "a file": ("images.npy", "images.npy is a file"),
    "below a file": ("images.npy/out", "images.npy is a file"),
    "far below a file": ("images.npy/a/b/out", "images.npy is a file"),
    "a new folder of /proc": ("/proc/edgecnn-out", "/proc/edgecnn-out cannot be made"),
    "/proc itself": ("/proc", "/proc cannot be made"),
    "a name too long": ("x" * 300, "cannot be made"),
}


@pytest.mark.parametrize("case", OUTPUTS)
def test_outputs_that_cannot_be_written(case: str, here: Path) -> None:
    output, expected = OUTPUTS[case]
    line = refused(here, "export", "int8.tflite", "-o", output)
    assert line.startswith("output folder ")
    assert expected in line


@pytest.mark.skipif(os.getuid() == 0, reason="permission bits do not apply to root")
def test_a_read_only_output(here: Path) -> None:
    (here / "folder").chmod(0o555)
    assert "folder" in refused(here, "export", "int8.tflite", "-o", "folder")


def test_a_folder_in_the_place_of_a_file(here: Path) -> None:
    (here / "folder" / "report.html").mkdir()
    line = refused(here, "export", "int8.tflite", "-o", "folder", "--samples", 0)
    assert "report.html" in line
    assert list((here / "folder").iterdir()) == [here / "folder" / "report.html"]


@pytest.mark.parametrize("output", ["out", "new/deep/out", "folder"])
def test_a_late_failure_leaves_nothing(output: str, here: Path) -> None:
    """That a class does not exist is only seen once all is written and verified."""
    np.savez("late.npz", x=images(5), y=[0, 1, 2, 3, 99])
    line = refused(here, "export", "float.pt2", "-o", output, "--calibration", "images.npy",
                   "--data", "late.npz", "--samples", 0)  # fmt: skip
    assert "label 99" in line


def test_an_interruption_leaves_nothing(here: Path) -> None:
    def interrupt(text: str) -> None:
        if text.startswith("drawing"):
            raise KeyboardInterrupt

    before = tree(here)
    with pytest.raises(KeyboardInterrupt):
        write_export(small_int8(), here / "new" / "out", samples=0, step=interrupt)
    assert tree(here) == before


# --- options ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["int", "INT", "class", "stdint", "string", "nul", "null", "1st", "a-b", "a b", "../x", "é",
     "_x", "edgecnn_add", "Edgecnn", "x" * 49, "a\n"],
)  # fmt: skip
def test_names(name: str, here: Path) -> None:
    line = refused(here, "export", "int8.tflite", "-o", "out", "--name", name)
    assert line.startswith(f"--name '{' '.join(name.split(chr(10)))}' cannot name")


EXPORT = ["export", "int8.tflite", "-o", "out"]
CALLS: dict[str, tuple[list[str], str]] = {
    "unknown runner": ([*EXPORT, "--runners", "tflm,renode"], "runner 'renode' is unknown"),
    "no runner": ([*EXPORT, "--runners", ""], "runner '' is unknown"),
    "no judge": ([*EXPORT, "--runners", "host-c"], "tflm or numpy"),
    "unknown runner to verify": (["verify", "int8.tflite", "--runners", "x"], "runner 'x'"),
    "unknown board": ([*EXPORT, "--board", "arduino"], "no board is called 'arduino'"),
    "unknown board to analyze": (["analyze", "int8.tflite", "--board", "x"], "called 'x'"),
    "missing board file": ([*EXPORT, "--board", "x.toml"], "x.toml cannot be read"),
    "board and cpu": (
        [*EXPORT, "--board", "frdm-k64f", "--cpu", "cortex-m4"],
        "--board and --cpu exclude each other",
    ),
    "unknown cpu": ([*EXPORT, "--cpu", "avr"], "core 'avr' is unknown"),
    "unknown aim": ([*EXPORT, "--optimize", "size"], "--optimize"),
    "unknown ranges": ([*EXPORT, "--ranges", "kl"], "--ranges"),
    "negative samples": ([*EXPORT, "--samples", "-1"], "--samples"),
    "samples in words": ([*EXPORT, "--samples", "many"], "--samples"),
    "negative seed": ([*EXPORT, "--seed", "-1"], "--seed"),
    "unknown option": ([*EXPORT, "--fast"], "--fast"),
    "no output": (["export", "int8.tflite"], "--output"),
    "no model": (["export", "-o", "out"], "model"),
    "no data": (["evaluate", "int8.tflite"], "--data"),
    "a model too many": ([*EXPORT, "other.tflite"], "other.tflite"),
    "unknown command": (["quantise"], "quantise"),
    "shape of a file": ([*EXPORT, "--input-shape", "1,8"], "--input-shape goes with"),
    "weights of a file": ([*EXPORT, "--weights", "w.pt"], "--weights goes with"),
    "a float model to verify": (["verify", "float.pt2"], "float.pt2 is not int8"),
    "a folder to verify": (["verify", "folder"], "folder holds no export"),
    "a folder to evaluate": (["evaluate", "folder", "--data", "labelled.npz"], "no export"),
    "a folder to export": (["export", "folder", "-o", "out"], "folder"),
}


@pytest.mark.parametrize("case", CALLS)
def test_calls(case: str, here: Path) -> None:
    arguments, expected = CALLS[case]
    assert expected in refused(here, *arguments)


def test_no_command_shows_the_help() -> None:
    outcome = edgecnn_command()
    assert outcome.status == 2
    assert "export" in outcome.out
    assert outcome.err == "edgecnn: error: no command is given\n"


def test_a_broken_board_file(here: Path) -> None:
    write(here / "x.toml", b"name = 3")
    assert "x.toml" in refused(here, *EXPORT, "--board", "x.toml")


# --- factories --------------------------------------------------------------------------------


HERE = "tests.command_line"
SHAPE = ["--input-shape", "1,1,8,8"]
FACTORIES: dict[str, tuple[list[str], str]] = {
    "no shape": ([f"{HERE}:small"], "needs --input-shape"),
    "raises": ([f"{HERE}:raising", *SHAPE], "ValueError: no such data set"),
    "not a module": ([f"{HERE}:not_a_module", *SHAPE], "gave a str; an nn.Module is needed"),
    "not callable": ([f"{HERE}:EXACT_RUNNERS", *SHAPE], "not callable"),
    "no factory": ([f"{HERE}:absent", *SHAPE], "absent"),
    "no name": ([f"{HERE}:", *SHAPE], f"{HERE}:"),
    "no package": (["no.such:factory", *SHAPE], "No module named 'no'"),
    "wrong rank": ([f"{HERE}:small", "--input-shape", "8,8"], "torch.export cannot capture"),
    "wrong size": ([f"{HERE}:small", "--input-shape", "1,1,9,19"], "torch.export cannot capture"),
    "too many inputs": ([f"{HERE}:small", *SHAPE, *SHAPE], "torch.export cannot capture"),
    **{
        f"shape {text!r}": ([f"{HERE}:small", "--input-shape", text], f"--input-shape '{text}'")
        for text in ("1,-1,8,8", "1,1,8,", "a,b", "", "1;1;8;8", "1,1,8,0", "1,1,8.5,8")
    },
}


@pytest.mark.parametrize("case", FACTORIES)
def test_factories(case: str, here: Path) -> None:
    arguments, expected = FACTORIES[case]
    line = refused(here, "export", *arguments, "-o", "out", "--calibration", "images.npy")
    assert expected in line


def test_weights_that_do_not_fit(here: Path) -> None:
    call = ["export", f"{HERE}:small", *SHAPE, "-o", "out", "--calibration", "images.npy"]
    torch.save(nn.Linear(3, 3).state_dict(), "other.pt")
    assert "--weights other.pt" in refused(here, *call, "--weights", "other.pt")
    assert "--weights none.pt" in refused(here, *call, "--weights", "none.pt")
    write(here / "text.pt", b"no weights")
    assert "--weights text.pt" in refused(here, *call, "--weights", "text.pt")
    torch.save(small(), "whole.pt")  # a pickled module is a program, not weights
    assert "--weights whole.pt" in refused(here, *call, "--weights", "whole.pt")
    torch.save([1, 2], "list.pt")
    assert "--weights list.pt" in refused(here, *call, "--weights", "list.pt")
