"""The Python interface: load, quantize, export, and what they return and refuse."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import edgecnn
from edgecnn.errors import DataError, EdgecnnError, ModelFormatError, UserError
from edgecnn.fixedpoint import dequantize
from edgecnn.ir import Graph
from edgecnn.simulator import run_int
from firmware_export.tflite_writer import to_tflite
from tests.command_line import (
    images,
    seeded,
    small,
    small_float,
    small_int8,
    small_pt2,
    small_tflite,
    write,
)


def test_the_three_calls(tmp_path: Path) -> None:
    graph = edgecnn.load(small(), torch.zeros(1, 1, 8, 8))
    int8 = edgecnn.quantize(graph, images())
    result = edgecnn.export(int8, str(tmp_path / "build"), board="frdm-k64f", samples=2)
    assert result.parity.passed
    assert result.memory.arena_bytes > 0
    assert result.fit is not None
    assert result.fit.fits
    assert sorted(result.files) == sorted(p.name for p in (tmp_path / "build").iterdir())
    assert result.to_json()["name"] == "small"


def test_int8_stays_close_to_float() -> None:
    x = images(50, seed=9)
    graph = small_int8()
    values = run_int(graph, edgecnn.data.to_feeds(graph, x))[graph.outputs[0]]
    tensor = graph.tensors[graph.outputs[0]]
    got = dequantize(values, tensor.scale, tensor.zero_point)[:, 0]
    with torch.no_grad():
        wanted = small()(torch.from_numpy(x)).numpy()
    assert got.shape == wanted.shape
    assert np.abs(got - wanted).mean() < 0.03 * np.ptp(wanted)
    assert np.mean(got.argmax(1) == wanted.argmax(1)) > 0.9


def test_load_takes_paths_of_both_kinds(tmp_path: Path) -> None:
    path = write(tmp_path / "small.tflite", small_tflite())
    for form in (path, str(path)):
        graph = edgecnn.load(form)
        assert graph.is_quantized
        assert graph.name == "small"
    assert not edgecnn.load(write(tmp_path / "small.pt2", small_pt2())).is_quantized


def test_a_file_of_ours_reads_back_as_what_was_written(tmp_path: Path) -> None:
    graph = edgecnn.load(write(tmp_path / "small.tflite", small_tflite()))
    ours = small_int8()
    assert [n.op for n in graph.nodes] == [n.op for n in ours.nodes]
    assert graph.activations() == ours.activations()
    for name in ours.activations():
        assert graph.tensors[name].quant == ours.tensors[name].quant
        assert graph.tensors[name].shape == ours.tensors[name].shape


def test_load_leaves_the_module_alone() -> None:
    module = small().train()
    before = copy.deepcopy(module.state_dict())
    edgecnn.load(module, torch.zeros(1, 1, 8, 8))
    assert module.training
    assert all(torch.equal(before[k], v) for k, v in module.state_dict().items())


def test_load_takes_a_batch_as_example() -> None:
    graph = edgecnn.load(small(), torch.zeros(16, 1, 8, 8))
    assert graph.tensors[graph.inputs[0]].shape == (1, 8, 8, 1)


def test_load_refuses_a_module_without_example() -> None:
    with pytest.raises(UserError, match="example input"):
        edgecnn.load(small())


@pytest.mark.parametrize("model", [3, None, b"bytes", {"a": 1}])
def test_load_refuses_what_is_no_model(model: object) -> None:
    with pytest.raises(UserError, match="path of a file or an"):
        edgecnn.load(model, torch.zeros(1, 1, 8, 8))


def test_load_refuses_missing_files() -> None:
    with pytest.raises(ModelFormatError, match="does not exist"):
        edgecnn.load("none.tflite")


def same(a: Graph, b: Graph) -> bool:
    return to_tflite(a, "test") == to_tflite(b, "test")


def test_all_forms_of_calibration_quantize_alike() -> None:
    x = images()
    pairs = TensorDataset(torch.from_numpy(x), torch.zeros(len(x), dtype=torch.int64))
    forms = [list(x), torch.from_numpy(x), {"x": x}, (one for one in x), DataLoader(pairs, 5)]
    for form in forms:
        assert same(edgecnn.quantize(small_float(), form), small_int8())


def test_quantizing_is_deterministic_and_leaves_its_input() -> None:
    graph = edgecnn.load(small(), torch.zeros(1, 1, 8, 8))
    before = {n: None if t.data is None else t.data.copy() for n, t in graph.tensors.items()}
    assert same(edgecnn.quantize(graph, images()), edgecnn.quantize(graph, images()))
    for name, tensor in graph.tensors.items():
        assert tensor.quant is None
        if tensor.data is not None:
            np.testing.assert_array_equal(tensor.data, before[name])


def test_an_int8_graph_is_quantized_already() -> None:
    assert edgecnn.quantize(small_int8(), []) is small_int8()


def test_quantize_refuses() -> None:
    with pytest.raises(DataError, match="empty"):
        edgecnn.quantize(small_float(), [])
    with pytest.raises(UserError, match="calibration method is 'kl'; it can be auto, minmax"):
        edgecnn.quantize(small_float(), images(), ranges="kl")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_weight_that_is_not_a_number_is_named(value: float) -> None:
    module = small()
    with torch.no_grad():
        module.get_parameter("last.weight")[2, 3] = value
    with pytest.raises(UserError, match=r"'last\.weight' holds values that are not finite"):
        edgecnn.load(module, torch.zeros(1, 1, 8, 8))


class Shared(nn.Module):
    """One convolution used twice, on inputs of different ranges."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(torch.relu(self.conv(x)))


def test_a_layer_used_twice(tmp_path: Path) -> None:
    """Its bias has two scales, so it is written twice; the weights once."""
    graph = edgecnn.load(seeded(Shared()), torch.zeros(1, 2, 6, 6))
    x = np.random.default_rng(0).normal(size=(20, 2, 6, 6))
    int8 = edgecnn.quantize(graph, x)
    first, second = (node for node in int8.nodes if node.op == "conv2d")
    assert first.inputs[2] != second.inputs[2]
    result = edgecnn.export(int8, tmp_path / "out", name="net", samples=20)
    assert result.parity.passed


def test_every_exception_has_an_exit_status() -> None:
    def tree(kind: type[EdgecnnError]) -> list[type[EdgecnnError]]:
        return [kind, *(leaf for child in kind.__subclasses__() for leaf in tree(child))]

    for kind in tree(EdgecnnError):
        assert kind.exit_code in ((2,) if issubclass(kind, UserError) else (1, 70)), kind
