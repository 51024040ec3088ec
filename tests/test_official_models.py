"""The official models: exported, every tensor is the same byte on every exact runner."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edgecnn
from edgecnn.ir import Array
from edgecnn.parity import random_feeds
from firmware_export.runners import HOST_RUNNERS
from tests.command_line import EXACT_RUNNERS, succeeds

Find = Callable[[str], Path]

INT8 = (
    "mlperf_tiny/ad01_int8",
    "mlperf_tiny/kws_ref_model",
    pytest.param("mlperf_tiny/pretrainedResnet_quant", marks=pytest.mark.slow),
    pytest.param("mlperf_tiny/vww_96_int8", marks=pytest.mark.slow),
    "tflm/hello_world_int8",
    "tflm/micro_speech__models__micro_speech_quantized",
    pytest.param("tinymaix/cifar10_q", marks=pytest.mark.slow),
    "tinymaix/mnist_dw_q",
    pytest.param("tinymaix/mnist_resnet_q", marks=pytest.mark.slow),
    pytest.param("tinymaix/mnist_valid_q", marks=pytest.mark.slow),
)
MNIST_FLOAT = (
    "tinymaix/mnist_dw_f",
    pytest.param("tinymaix/mnist_resnet_f", marks=pytest.mark.slow),
    pytest.param("tinymaix/mnist_valid_f", marks=pytest.mark.slow),
)
NOISE_FLOAT = (
    "tflm/hello_world_float",
    pytest.param("tinymaix/cifar10_f", marks=pytest.mark.slow),
    pytest.param("mlperf_tiny/ad01_fp32", marks=pytest.mark.slow),
    "mlperf_tiny/kws_ref_model_float32",
    pytest.param("mlperf_tiny/pretrainedResnet", marks=pytest.mark.slow),
    pytest.param("mlperf_tiny/vww_96_float", marks=pytest.mark.slow),
)


def export_and_verify(model: Path, directory: Path, samples: int, *options: object) -> None:
    """Export with a quick check, then verify the folder: no differing value anywhere."""
    quick = ("--samples", 0, "--runners", "numpy,tflm", "--quiet")
    succeeds("export", model, "-o", directory, *quick, *options)
    # Emulated cores compute these networks in tests/device.
    host = ",".join(HOST_RUNNERS)
    report = succeeds("verify", directory, "--samples", samples, "--runners", host, "--json").json
    tensors = json.loads((directory / "manifest.json").read_text())["tensors"]
    values = sum(int(np.prod(t["shape"])) for t in tensors) * (samples + 3)
    assert report["passed"]
    assert report["reference"] == "tflm"
    for name in EXACT_RUNNERS:
        result = report["runners"][name]
        assert result["available"]
        assert result["tensors"] == len(tensors)
        assert result["values"] == values
        assert result["mismatches"] == 0
    # litert rounds some layers otherwise; what it computes is what its dialect predicts.
    assert report["runners"]["litert"]["mismatches"] == 0


@pytest.mark.parametrize("model", INT8)
def test_int8(model: str, shared_path: Find, tmp_path: Path) -> None:
    export_and_verify(shared_path(f"models/{model}.tflite"), tmp_path / "out", 100)


def test_the_samples_hold_the_three_extremes(shared_path: Find) -> None:
    graph = edgecnn.load(shared_path("models/tinymaix/mnist_valid_q.tflite"))
    name = graph.inputs[0]
    feeds = random_feeds(graph, 2, 0)[name]
    assert feeds.shape == (5, 1, 28, 28, 1)
    levels = (-128, 127, graph.tensors[name].zero_point)
    for sample, level in zip(feeds, levels, strict=False):
        assert np.all(sample == level)
    assert len(np.unique(feeds[3])) > 200


@pytest.mark.parametrize("model", MNIST_FLOAT)
def test_float_calibrated_on_digits(model: str, shared_path: Find, tmp_path: Path) -> None:
    images = np.load(shared_path("data/mnist.npz"))["x_train"][:200]
    np.save(tmp_path / "x.npy", images[..., None].astype(np.float32) / 255)
    path = shared_path(f"models/{model}.tflite")
    export_and_verify(path, tmp_path / "out", 100, "--calibration", tmp_path / "x.npy")


def noise(model: Path, count: int) -> Array:
    """Uniform noise in the shape of a model's input."""
    graph = edgecnn.load(model)
    shape = graph.tensors[graph.inputs[0]].shape[1:]
    return np.random.default_rng(0).random((count, *shape), dtype=np.float32)


@pytest.mark.parametrize("model", NOISE_FLOAT)
def test_float_calibrated_on_noise(model: str, shared_path: Find, tmp_path: Path) -> None:
    path = shared_path(f"models/{model}.tflite")
    np.save(tmp_path / "x.npy", noise(path, 8))
    export_and_verify(path, tmp_path / "out", 10, "--calibration", tmp_path / "x.npy")


@pytest.mark.slow
@pytest.mark.parametrize("ranges", ["mse", "minmax"])
@pytest.mark.parametrize("model", NOISE_FLOAT)
def test_float_calibrated_on_more_noise(
    model: str, ranges: str, shared_path: Find, tmp_path: Path
) -> None:
    path = shared_path(f"models/{model}.tflite")
    np.save(tmp_path / "x.npy", noise(path, 50))
    calibration = ("--calibration", tmp_path / "x.npy", "--ranges", ranges)
    export_and_verify(path, tmp_path / "out", 100, *calibration)
