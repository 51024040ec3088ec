"""What each layer costs alone: against running the whole network anew, and on every backend."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgecnn.checkpoint import Checkpoint
from edgecnn.ir import INT8, INT16, Array, QuantParams, Tensor
from edgecnn.operators import operator
from edgecnn.parallel import Workers
from edgecnn.quantization.error import layer_errors
from edgecnn.quantization.sensitivity import LayerCost, LayerTable, _rounded, measure_layers
from edgecnn.simulator import run_float
from edgecnn.sources import ReadyFeeds
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
from tests.conftest import REPOSITORY

COUNT = 40


def feeds() -> dict[str, Array]:
    x = images(COUNT, seed=4)
    return {small_float().inputs[0]: x.transpose(0, 2, 3, 1)[:, None]}


def labels() -> Array:
    return np.random.default_rng(5).integers(0, 10, COUNT)


def reals(tensor: Tensor) -> Array:
    """A quantized constant, value by value."""
    assert tensor.data is not None
    assert tensor.quant is not None
    result = np.empty(tensor.shape, np.float32)
    for at, code in np.ndenumerate(tensor.data):
        axis = tensor.quant.axis if tensor.quant.is_per_channel else None
        i = 0 if axis is None else at[axis]
        result[at] = np.float32((int(code) - tensor.quant.zero_point[i]) * tensor.quant.scale[i])
    return result


def output_with(layer: str) -> Array:
    """The network's output with one layer in int8, sample by sample and node by node."""
    graph, int8 = small_float(), small_int8()

    def rounded(name: str, x: Array) -> Array:
        tensor = int8.tensors[name]
        steps = np.floor(x / np.float32(tensor.scale) + 0.5) + tensor.zero_point
        return (np.clip(steps, -128, 127) - tensor.zero_point).astype(np.float32) * np.float32(
            tensor.scale
        )

    found = []
    for sample in range(COUNT):
        values = {name: array[sample] for name, array in feeds().items()}
        if layer in values:
            values[layer] = rounded(layer, values[layer])
        for node, other in zip(graph.nodes, int8.nodes, strict=True):
            inputs: list[Any] = []
            for name, coded in zip(node.inputs, other.inputs, strict=True):
                constant = graph.tensors[name].data if name else None
                if constant is not None and node.output == layer:
                    constant = reals(int8.tensors[coded])
                inputs.append(values[name] if constant is None else constant)
            (values[node.output],) = operator(node.op).evaluate_float(node.attributes, inputs)
            if node.output == layer:
                values[layer] = rounded(layer, values[layer])
        found.append(values[graph.outputs[0]])
    return np.stack(found)


def test_costs_are_those_of_the_whole_network_run_anew() -> None:
    graph, source = small_float(), ReadyFeeds(feeds(), labels())
    table = measure_layers(graph, small_int8(), source, COUNT, Workers(2), labelled=True)
    expected = run_float(graph, feeds())[graph.outputs[0]]
    assert [cost.tensor for cost in table.costs] == graph.activations()
    assert [cost.op for cost in table.costs] == ["input", *(node.op for node in graph.nodes)]
    for cost in table.costs:
        got = output_with(cost.tensor)
        noise = float(np.square(expected.astype(np.float64) - got).sum())
        signal = float(np.square(expected.astype(np.float64)).sum())
        assert cost.sqnr_db == pytest.approx(10 * np.log10(signal / noise), abs=0.02)
        named = got.reshape(COUNT, -1).argmax(axis=1)
        assert cost.accuracy == np.mean(named == labels())
        assert cost.cosine is not None
        assert 0.99 < cost.cosine <= 1.0
    named = expected.reshape(COUNT, -1).argmax(axis=1)
    assert table.accuracy == np.mean(named == labels())
    worst = table.costliest
    assert worst is not None
    assert worst.sqnr_db == min(cost.sqnr_db for cost in table.costs)


def test_errors_that_come_together_are_those_of_layer_errors() -> None:
    graph, source = small_float(), ReadyFeeds(feeds(), None)
    table = measure_layers(graph, small_int8(), source, COUNT, Workers(1), labelled=False)
    for ours, whole in zip(table.errors, layer_errors(graph, small_int8(), feeds()), strict=True):
        assert ours.tensor == whole.tensor
        assert ours.sqnr_db == pytest.approx(whole.sqnr_db)
        assert (ours.low, ours.high) == pytest.approx((whole.low, whole.high))
    assert all(cost.accuracy is None for cost in table.costs)
    assert table.accuracy is None


def test_a_coarse_layer_costs_most() -> None:
    """The steps of one layer's output are made sixteen times as wide."""
    graph, int8 = small_float(), small_int8()
    name = graph.nodes[1].output
    wide = int8.tensors[name]
    quant = QuantParams.per_tensor(wide.scale * 16, wide.zero_point)
    spoilt = Tensor(name, wide.shape, wide.dtype, None, quant)
    coarse = int8.replace(tensors={**int8.tensors, name: spoilt})
    table = measure_layers(graph, coarse, ReadyFeeds(feeds(), None), 20, Workers(1), labelled=False)
    assert table.costliest is not None
    assert table.costliest.tensor == name


def test_a_scale_that_is_fixed_is_not_to_blame() -> None:
    costs = (LayerCost("a", "conv2d", 30.0, 0.9, None), LayerCost("b", "softmax", 20.0, 0.9, None))
    assert LayerTable(1, None, (), costs).costliest is costs[0]
    assert LayerTable(1, None, (), costs[1:]).costliest is None


def test_rounding_follows_the_type_of_the_tensor() -> None:
    x = np.array([-1e6, -0.26, 0.26, 1e6], np.float32)
    quant = QuantParams.per_tensor(0.5, 1)
    int8 = _rounded(x, Tensor("t", (4,), INT8, None, quant))
    int16 = _rounded(x, Tensor("t", (4,), INT16, None, quant))
    np.testing.assert_array_equal(int8, [-64.5, -0.5, 0.5, 63.0])
    np.testing.assert_array_equal(int16, [-16384.5, -0.5, 0.5, 16383.0])
    np.testing.assert_array_equal(_rounded(x, Tensor("t", (4,))), x)


@pytest.mark.parametrize(
    "workers",
    [
        Workers(2),
        Workers(3),
        *(
            pytest.param(Workers(2, backend), marks=pytest.mark.slow)
            for backend in ("loky", "multiprocessing", "dask")
        ),
    ],
    ids=str,
)
def test_every_backend_gives_the_same_digits(workers: Workers) -> None:
    call = (small_float(), small_int8(), ReadyFeeds(feeds(), labels()), COUNT)
    alone = measure_layers(*call, Workers(1), labelled=True)
    assert measure_layers(*call, workers, labelled=True) == alone


# --- the command ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def call(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    folder = tmp_path_factory.mktemp("layers")
    rng = np.random.default_rng(3)
    x = rng.random((300, 1, 8, 8), dtype=np.float32)
    np.savez(folder / "data.npz", x=x, y=rng.integers(0, 10, 300))
    np.save(folder / "x.npy", x[:50])
    model = write(folder / "net.pt2", small_pt2())
    data, calibration = folder / "data.npz", folder / "x.npy"
    return [
        "evaluate", model, "--data", data, "--calibration", calibration,
        "--layers", "--layer-samples", 300,
    ]  # fmt: skip


def test_the_command_shows_layers(call: list[object]) -> None:
    shown = succeeds(*call).out
    assert "Layers on 300 samples" in shown
    assert shown.count("costs most") == 1
    table = succeeds(*call, "--json").json["layers"]
    assert table["samples"] == 300
    assert {row["op"] for row in table["table"]} >= {"input", "conv2d", "fully_connected"}
    worst = min(table["table"], key=lambda row: row["alone"]["sqnr_db"])
    assert table["costs_most"] == worst["tensor"]


def test_layers_of_an_int8_model_are_refused(tmp_path: Path) -> None:
    model = write(tmp_path / "int8.tflite", small_tflite())
    x = images(4).transpose(0, 2, 3, 1)
    np.savez(tmp_path / "data.npz", x=x, y=np.zeros(4, int))
    assert "--layers compares int8 with float" in fails(
        2, "evaluate", model, "--data", tmp_path / "data.npz", "--layers"
    )


#: The command, with layers that take their time.
SLOW = """
import sys, time
from edgecnn import cli
from edgecnn.quantization import sensitivity

compute = sensitivity._Measure.__call__
def slowly(self, index):
    time.sleep(0.2)
    with open(sys.argv[1], "a") as file:
        print(index, file=file)
    return compute(self, index)
sensitivity._Measure.__call__ = slowly
sys.exit(cli.run(sys.argv[2:]))
"""


@pytest.mark.slow
def test_a_killed_search_goes_on_and_gives_the_same_json(
    call: list[object], tmp_path: Path
) -> None:
    log, kept = tmp_path / "log", tmp_path / "kept"
    command = [sys.executable, "-c", SLOW, str(log), *map(str, call), "--jobs", "2", "--json"]
    command += ["--resume", str(kept)]

    def saved() -> set[int]:
        keys = [path for path in kept.glob("*") if len(list(path.glob("*.json")))]
        found = [set(Checkpoint(path).load()) for path in keys]
        return max(found, key=len, default=set()) if len(keys) > 1 else set()

    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not saved() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    before = saved()
    assert 0 < len(before) < 19
    log.unlink()
    again = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert sorted(map(int, log.read_text().split())) == sorted({*range(19)} - before)
    assert json.loads(again.stdout) == succeeds(*call, "--json").json
