"""Accuracy on MNIST: what TFLite Micro itself gives, and what quantization costs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edgecnn
from edgecnn.data import to_feeds
from edgecnn.ir import Array
from firmware_export.scratch import compiled
from tests.command_line import succeeds

Find = Callable[[str], Path]
NETWORKS = ("dw", "resnet", "valid")


@pytest.fixture
def digits(shared_path: Find) -> tuple[Array, Array]:
    """The 5,000 test images, (N, 28, 28, 1) in [0, 1], and their labels."""
    with np.load(shared_path("data/mnist.npz")) as data:
        return data["x_test"][..., None].astype(np.float32) / 255, data["y_test"]


def classes_of_tflm(model: Path, x: Array) -> Array:
    """What TFLite Micro predicts, with the model's own scales and nothing of edgecnn."""
    from tflite_micro import runtime

    interpreter = runtime.Interpreter.from_file(str(model))
    details = interpreter.get_input_details(0)["quantization_parameters"]
    scale, zero_point = float(details["scales"][0]), int(details["zero_points"][0])
    codes = np.clip(np.round(x / scale) + zero_point, -128, 127).astype(np.int8)
    found = []
    for code in codes:
        interpreter.set_input(code[None], 0)
        interpreter.invoke()
        found.append(int(np.argmax(interpreter.get_output(0))))
    return np.array(found)


def classes_of_c(model: Path, x: Array) -> Array:
    """What the generated C predicts."""
    graph = edgecnn.load(model)
    with compiled(graph) as session:
        outputs = session.run_on_all_cores(to_feeds(graph, x))[graph.outputs[0]]
    return outputs.reshape(len(x), -1).argmax(axis=1)


def check_against_tflm(model: Path, x: Array, y: Array, folder: Path) -> float:
    expected = classes_of_tflm(model, x)
    assert np.array_equal(classes_of_c(model, x), expected)
    np.savez(folder / "data.npz", x=x, y=y)
    result = succeeds("evaluate", model, "--data", folder / "data.npz", "--json").json
    assert result["samples"] == len(x)
    assert result["int8"]["accuracy"] == np.mean(expected == y)
    return float(result["int8"]["accuracy"])


@pytest.mark.parametrize("network", NETWORKS)
def test_int8_predicts_what_tflm_predicts(
    network: str, digits: tuple[Array, Array], shared_path: Find, tmp_path: Path
) -> None:
    x, y = digits
    model = shared_path(f"models/tinymaix/mnist_{network}_q.tflite")
    assert check_against_tflm(model, x[:500], y[:500], tmp_path) > 0.88


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
def test_int8_has_the_accuracy_of_tflm_on_all_images(
    network: str, digits: tuple[Array, Array], shared_path: Find, tmp_path: Path
) -> None:
    x, y = digits
    assert len(x) == 5000
    model = shared_path(f"models/tinymaix/mnist_{network}_q.tflite")
    assert check_against_tflm(model, x, y, tmp_path) > 0.9


@pytest.mark.parametrize("network", NETWORKS)
def test_our_int8_is_as_good_as_float(
    network: str, digits: tuple[Array, Array], shared_path: Find, tmp_path: Path
) -> None:
    """Within 0.3 points, calibrated on 500 of the images that networks are trained on."""
    x, y = digits
    np.savez(tmp_path / "test.npz", x=x, y=y)
    with np.load(shared_path("data/mnist.npz")) as data:
        mixed = np.random.default_rng(0).permutation(len(data["x_train"]))[:500]
        np.save(tmp_path / "x.npy", data["x_train"][mixed, ..., None].astype(np.float32) / 255)
    result = succeeds(
        "evaluate", shared_path(f"models/tinymaix/mnist_{network}_f.tflite"),
        "--data", tmp_path / "test.npz", "--calibration", tmp_path / "x.npy",
        "--json",
    ).json  # fmt: skip
    assert result["samples"] == 5000
    assert result["float"]["accuracy"] > 0.9
    assert result["int8"]["accuracy"] >= result["float"]["accuracy"] - 0.003
    assert result["agreement"] > 0.98
