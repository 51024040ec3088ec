"""The command ``edgecnn mixed`` and the option ``--wide``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgecnn.ir import Graph
from edgecnn.quantization.mixed import Remembered
from tests.command_line import (
    fails,
    small_float,
    small_int8,
    small_pt2,
    small_tflite,
    succeeds,
    write,
    write_images,
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a float model, calibration and labelled data."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "float.pt2", small_pt2())
    write_images(tmp_path / "x.npy")
    write_images(tmp_path / "data.npz", labels=True)
    return tmp_path


ARGUMENTS = ("float.pt2", "--calibration", "x.npy", "--data", "data.npz")


def test_nothing_is_wide_where_int8_will_do(here: Path) -> None:
    found = succeeds("mixed", *ARGUMENTS, "--accuracy-target", 0, "--json").json
    assert found["reached"] is True
    assert found["layers"] == []
    assert len(found["steps"]) == 1
    assert found["costs"].keys() == {"int8"}
    assert found["costs"]["int8"]["cycles"] > 0
    assert found["gains_db"].keys() <= {node.output for node in small_float().nodes}


def test_an_export_takes_the_layers(here: Path) -> None:
    layer = small_float().nodes[0].output
    result = succeeds("export", "float.pt2", "--calibration", "x.npy", "-o", "out", "--wide", layer,
                      "--runners", "numpy,tflm,host-c", "--samples", 2, "--json").json  # fmt: skip
    assert result["verify"]["passed"] is True
    assert result["quantization"]["wide"] == [layer]
    assert any(path.name == "edgecnn_conv2d_int16.h" for path in (here / "out").iterdir())


def test_a_target_that_cannot_be_reached_ends_with_1(here: Path) -> None:
    with np.load("data.npz") as data:
        x, y = data["x"], data["y"]
    np.savez("data.npz", x=x, y=(y + 1) % 10)
    line = fails(1, "mixed", *ARGUMENTS, "--accuracy-target", 0.99, "--quiet")
    assert "99.00 % is not reached" in line


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (("int8.tflite", "--data", "data.npz"), "is int8 already"),
        (("float.pt2", "--data", "data.npz"), "needs --calibration"),
        ((*ARGUMENTS, "--repair", "all,weights"), "is none of equalize"),
        ((*ARGUMENTS, "--cpu", "z80"), "z80"),
    ],
)
def test_refusals(here: Path, arguments: tuple[str, ...], wanted: str) -> None:
    write(here / "int8.tflite", small_tflite())
    assert wanted in fails(2, "mixed", *arguments)


def test_a_layer_that_is_not_there(here: Path) -> None:
    line = fails(
        2, "export", "float.pt2", "--calibration", "x.npy", "-o", "out", "--wide", "nobody"
    )
    assert "no layer is called 'nobody'" in line
    assert not (here / "out").exists()


def test_scores_are_measured_once(tmp_path: Path) -> None:
    measured: list[Graph] = []

    def score(graph: Graph) -> float:
        measured.append(graph)
        return 0.5

    first = Remembered(score, "a" * 64, tmp_path)
    assert first(small_int8()) == first(small_int8()) == 0.5
    first.close()
    assert Remembered(score, "a" * 64, tmp_path)(small_int8()) == 0.5
    assert len(measured) == 1
    assert Remembered(score, "b" * 64, tmp_path)(small_int8()) == 0.5
    assert len(measured) == 2
