"""Exported folders that are no longer whole, or are asked for what they cannot give."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

import edgecnn
from firmware_export.export import export as write_export
from firmware_export.tflite_writer import to_tflite
from tests.command_line import images, small_int8, write
from tests.test_cli_errors import here, refused

__all__ = ["here"]  # a fixture


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("whole") / "out"
    write_export(small_int8(), directory, name="int8", samples=0, runners="numpy")
    return directory


@pytest.mark.parametrize(
    ("file", "data", "expected"),
    [
        ("manifest.json", None, "holds no export"),
        ("manifest.json", b"{", "cannot be read"),
        ("manifest.json", b"[]", "no manifest of format 1"),
        ("manifest.json", b'{"format": 99}', "no manifest of format 1"),
        ("manifest.json", b'{"format": 1, "name": "int8"}', "malformed at 'tensors'"),
        ("manifest.json", b"\xff\xfe", "cannot be read"),
        ("int8.tflite", None, "int8.tflite is missing"),
        ("int8.tflite", b"", "empty"),
        ("int8_weights.c", None, "int8_weights.c is missing"),
        ("edgecnn_fixedpoint.h", None, "edgecnn_fixedpoint.h is missing"),
    ],
)
def test_broken_exports(
    file: str, data: bytes | None, expected: str, here: Path, whole: Path
) -> None:
    shutil.copytree(whole, "out")
    path = here / "out" / file
    path.unlink() if data is None else path.write_bytes(data)
    assert expected in refused(here, "verify", "out")
    assert expected in refused(here, "evaluate", "out", "--data", "labelled.npz")


BROKEN_C = {
    "syntax": ("int8_run(void *arena) {", "int8_run(void *arena) { oops", "int8.c:", "error:"),
    "a deleted function": ("int8_kernel_0(&int8_layer_0", "gone(&int8_layer_0", "gone", ""),
    "a status": ("    return 0;\n}", "    return -7;\n}", "ended with status -7", ""),
    "out of the arena": ("    return 0;\n}", "    memory[INT8_ARENA_SIZE] = 1;\n    return 0;\n}",
                         "wrote outside its arena", ""),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN_C)
def test_c_that_was_broken_by_hand(case: str, here: Path, whole: Path) -> None:
    right, wrong, expected, also = BROKEN_C[case]
    shutil.copytree(whole, "out")
    path = here / "out" / "int8.c"
    assert right in path.read_text()
    path.write_text(path.read_text().replace(right, wrong))
    for call in (["verify", "out"], ["evaluate", "out", "--data", "labelled.npz"]):
        line = refused(here, *call)
        assert line.startswith("out is no sound export any more: the generated C ")
        assert expected in line
        assert also in line


@pytest.mark.parametrize(
    "option",
    [
        ["--calibration", "images.npy"],
        ["--calibration-method", "minmax"],
        ["--repair", "all"],
        ["--input-shape", "1,1,8,8"],
        ["--weights", "w.pt"],
    ],
    ids=" ".join,
)
def test_an_export_is_evaluated_as_it_is(option: list[str], here: Path, whole: Path) -> None:
    shutil.copytree(whole, "out")
    line = refused(here, "evaluate", "out", "--data", "labelled.npz", *option)
    assert f"leave {option[0]} out" in line
    assert "out is an exported folder" in line


def test_a_tflite_of_another_network_in_an_export(here: Path, whole: Path) -> None:
    shutil.copytree(whole, "out")
    other = edgecnn.load(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)), torch.zeros(1, 1, 8, 8))
    write(here / "out" / "int8.tflite", to_tflite(edgecnn.quantize(other, images()), "test"))
    assert "do not belong together" in refused(here, "verify", "out")
