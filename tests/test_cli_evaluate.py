"""The command evaluate on other than classes, and of two models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edgecnn
from edgecnn.compare import mcnemar
from edgecnn.data import to_feeds
from edgecnn.fixedpoint import dequantize
from edgecnn.ir import Array
from edgecnn.simulator import run_float, run_int
from firmware_export.tflite_writer import to_tflite
from tests.command_line import (
    fails,
    images,
    small_float,
    small_int8,
    small_pt2,
    small_tflite,
    succeeds,
    write,
)

Find = Callable[[str], Path]


def test_values_of_a_float_model(tmp_path: Path) -> None:
    """Targets of the output's shape, in the layout of the model as given."""
    x = images(60)
    output = run_float(small_float(), open_feeds(x))[small_float().outputs[0]].reshape(60, 10)
    y = output + np.random.default_rng(0).normal(0, 0.1, output.shape)
    np.savez(tmp_path / "data.npz", x=x, y=y)
    np.save(tmp_path / "x.npy", x)
    model = write(tmp_path / "net.pt2", small_pt2())
    call = ("evaluate", model, "--data", tmp_path / "data.npz", "--calibration", tmp_path / "x.npy")
    found = succeeds(*call, "--json").json
    assert (found["task"], found["samples"], found["agreement"]) == ("regression", 60, None)
    int8 = edgecnn.quantize(small_float(), x)
    tensor = int8.tensors[int8.outputs[0]]
    codes = run_int(int8, to_feeds(int8, x))
    reals = dequantize(codes[int8.outputs[0]], tensor.scale, tensor.zero_point).reshape(60, 10)
    for name, values in (("float", output), ("int8", reals)):
        error = y - values
        assert found[name]["mean_absolute_error"] == pytest.approx(np.abs(error).mean())
        assert found[name]["mean_squared_error"] == pytest.approx(np.square(error).mean())
        assert found[name]["r2"] == pytest.approx(
            1 - np.square(error).sum() / np.square(y - y.mean(axis=0)).sum()
        )
    assert "Regression on 60 samples" in succeeds(*call).out
    assert "not a list of integers" in fails(2, *call, "--task", "classification")
    assert "no copy of the input" in fails(2, *call, "--task", "anomaly")
    assert "--task is 'ranking'" in fails(2, *call, "--task", "ranking")


def open_feeds(x: Array) -> dict[str, Array]:
    return {small_float().inputs[0]: x.transpose(0, 2, 3, 1)[:, None]}


def sounds(count: int, seed: int) -> Array:
    """Like the spectra that the autoencoder knows: smooth, around -10 dB."""
    rng = np.random.default_rng(seed)
    smooth = np.cumsum(rng.normal(0, 0.05, (count, 640)), axis=1)
    return (smooth - smooth.mean(axis=1, keepdims=True) - 10).astype(np.float32)


@pytest.mark.parametrize("model", ["ad01_int8", "ad01_fp32"])
def test_anomalies_of_an_autoencoder(model: str, shared_path: Find, tmp_path: Path) -> None:
    """Noise is an anomaly; without labels the samples are what should come out."""
    path = shared_path(f"models/mlperf_tiny/{model}.tflite")
    normal, y = sounds(60, 0), np.arange(60) % 2
    x = normal + y[:, None] * np.random.default_rng(1).normal(0, 4, normal.shape)
    np.savez(tmp_path / "data.npz", x=x.astype(np.float32), y=y)
    np.save(tmp_path / "x.npy", x.astype(np.float32))
    np.save(tmp_path / "calibration.npy", normal)
    options = ("--calibration", tmp_path / "calibration.npy") if model == "ad01_fp32" else ()
    found = succeeds("evaluate", path, "--data", tmp_path / "data.npz", *options, "--json").json
    assert found["task"] == "anomaly"
    assert found["int8"]["roc_auc"] > 0.9
    assert found["int8"]["anomaly_error"] > found["int8"]["normal_error"]
    assert (found["float"] is None) == (model == "ad01_int8")
    same = succeeds("evaluate", path, "--data", tmp_path / "x.npy", *options, "--json").json
    assert same["task"] == "regression"
    halves = (found["int8"]["normal_error"] + found["int8"]["anomaly_error"]) / 2
    assert same["int8"]["mean_squared_error"] == pytest.approx(halves)


# --- two models -------------------------------------------------------------------------------


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A float model, an int8 one, and data for both in the layout of .tflite files."""
    x = images(200, seed=2).transpose(0, 2, 3, 1)
    np.savez(tmp_path / "data.npz", x=x, y=np.random.default_rng(0).integers(0, 10, 200))
    first = write(tmp_path / "a.tflite", small_tflite())
    coarse = edgecnn.quantize(small_float(), images(3, seed=9) * 0.2)
    second = write(tmp_path / "b.tflite", to_tflite(coarse, "test"))
    return first, second, tmp_path / "data.npz"


def test_two_int8_models(two: tuple[Path, Path, Path]) -> None:
    first, second, data = two
    found = succeeds("evaluate", first, "--compare", second, "--data", data, "--json").json
    alone = [
        succeeds("evaluate", m, "--data", data, "--json").json["int8"] for m in (first, second)
    ]
    for key, expected in zip(("first", "second"), alone, strict=True):
        assert {k: found[key][k] for k in expected} == expected
        assert found[key]["kind"] == "int8"
    confusion = [np.array(side["confusion"]) for side in alone]
    np.testing.assert_array_equal(found["confusion_difference"], confusion[1] - confusion[0])
    with np.load(data) as arrays:
        x, y = arrays["x"].transpose(0, 3, 1, 2), arrays["y"]
    named = []
    for graph in (small_int8(), edgecnn.load(second)):
        feeds = to_feeds(graph, x if graph is small_int8() else x.transpose(0, 2, 3, 1))
        named.append(run_int(graph, feeds)[graph.outputs[0]].reshape(200, -1).argmax(axis=1))
    right = [name == y for name in named]
    assert found["agreement"] == np.mean(named[0] == named[1]) < 1
    assert found["only_first_right"] == np.sum(right[0] & ~right[1])
    assert found["only_second_right"] == np.sum(right[1] & ~right[0])
    p = mcnemar(found["only_first_right"], found["only_second_right"])
    assert found["mcnemar_p_value"] == p
    assert (
        "McNemar's exact test"
        in succeeds("evaluate", first, "--compare", second, "--data", data, "--jobs", 2).out
    )


def test_a_float_model_and_an_int8_one(two: tuple[Path, Path, Path], tmp_path: Path) -> None:
    """Data are in the layout of each model: that of torch here."""
    x = images(50, seed=3)
    np.savez(tmp_path / "torch.npz", x=x, y=np.arange(50) % 10)
    np.save(tmp_path / "x.npy", x)
    model = write(tmp_path / "net.pt2", small_pt2())
    call = ("evaluate", model, "--compare", model, "--data", tmp_path / "torch.npz", "--json")
    found = succeeds(*call).json
    assert (found["first"]["kind"], found["second"]["kind"]) == ("float", "float")
    assert (found["agreement"], found["mcnemar_p_value"]) == (1.0, 1.0)
    int8 = succeeds(*call, "--calibration", tmp_path / "x.npy").json
    assert (int8["first"]["kind"], int8["second"]["kind"]) == ("int8", "int8")
    assert "--layers is of one model" in fails(2, *call, "--layers")


def test_models_of_other_inputs(shared_path: Find, two: tuple[Path, Path, Path]) -> None:
    other = shared_path("models/mlperf_tiny/kws_ref_model.tflite")
    line = fails(2, "evaluate", two[0], "--compare", other, "--data", two[2])
    assert "the network takes" in line


def test_mcnemar_is_the_exact_test() -> None:
    assert mcnemar(0, 0) == mcnemar(5, 5) == 1.0
    assert mcnemar(0, 5) == mcnemar(5, 0) == pytest.approx(2 * 0.5**5)
    assert mcnemar(1, 9) == pytest.approx(2 * (1 + 10) / 2**10)


def test_a_place_that_cannot_be_resumed_from(two: tuple[Path, Path, Path], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    call = ("evaluate", two[0], "--data", two[2], "--resume")
    assert "cannot be made" in fails(2, *call, tmp_path / "file")
    assert "cannot be made" in fails(2, *call, tmp_path / "file" / "below")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["loky", "multiprocessing", "dask"])
def test_errors_of_workers_are_one_line(
    backend: str, two: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    x = images(900).transpose(0, 2, 3, 1)
    np.savez(tmp_path / "late.npz", x=x, y=np.r_[np.zeros(899, int), 77])
    line = fails(
        2, "evaluate", two[0], "--data", tmp_path / "late.npz", "--backend", backend, "--jobs", 2
    )
    assert "label 77 is out of range" in line
