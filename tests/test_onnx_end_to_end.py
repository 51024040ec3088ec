"""A published ONNX model from the file to every runner."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgecnn import cli
from tests.onnx_models import model_of, serialized


def test_mnist_cntk(
    shared_path: Callable[[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its inputs are grey values from 0 to 255."""
    model = shared_path("models/onnx/mnist_cntk.onnx")
    mnist = np.load(shared_path("data/mnist.npz"))

    def images(part: str, count: int) -> np.ndarray:
        return mnist[f"x_{part}"][:count, None].astype(np.float32)

    np.save(tmp_path / "calibration.npy", images("train", 200))
    labels = mnist["y_test"][:1000].astype(np.int64)
    np.savez(tmp_path / "test.npz", x=images("test", 1000), y=labels)
    folder = tmp_path / "build"
    arguments = ["export", str(model), "-o", str(folder), "--json", "--samples", "2"]
    arguments += ["--calibration", str(tmp_path / "calibration.npy")]
    assert cli.run(arguments) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["verify"]["passed"]
    runners = result["verify"]["runners"]
    assert {name for name, r in runners.items() if r["available"]} >= {"numpy", "tflm", "host-c"}
    assert all(r["mismatches"] == 0 for r in runners.values() if r["available"])
    assert cli.run(["evaluate", str(folder), "--data", str(tmp_path / "test.npz"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["int8"]["accuracy"] > 0.97


def test_input_shape_option(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from onnx.helper import make_node

    file = tmp_path / "model.onnx"
    model = model_of([make_node("GlobalAveragePool", ["x:0"], ["y"])], {"x:0": ("n", 3, "h", "w")})
    file.write_bytes(serialized(model))
    assert cli.run(["analyze", str(file)]) == 2
    assert "--input-shape x:0:1,3,32,32" in capsys.readouterr().err
    for option in ("1,3,8,6", "x:0:1,3,8,6"):
        assert cli.run(["analyze", str(file), "--json", "--input-shape", option]) == 0
        assert json.loads(capsys.readouterr().out)["operators"] == {"mean": 1}
    assert cli.run(["analyze", str(file), "--input-shape", "x:0:1,three"]) == 2
    assert cli.run(["analyze", str(file), "--weights", "w.pt"]) == 2
    capsys.readouterr()
    other = tmp_path / "model.tflite"
    other.write_bytes(b"TFL3")
    assert cli.run(["analyze", str(other), "--input-shape", "1,3"]) == 2
    assert "--input-shape goes with" in capsys.readouterr().err
