from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from edgecnn.errors import UnsupportedError
from edgecnn.frontends.tflite import load, parse
from edgecnn.frontends.torch_export import load_module
from edgecnn.ir import Array, Graph
from edgecnn.ops.lstm import LstmAttributes
from edgecnn.parity import Artifact, random_feeds, verify
from edgecnn.quantization.error import layer_errors
from edgecnn.quantization.quantize import quantize_graph
from edgecnn.simulator import run_float
from firmware_export.tflite_writer import IDENTIFIER, to_tflite
from tests.frontends.tflite_models import ModelFile
from tests.ops.case_table import OPTIONAL_RUNNERS, RUNNERS, Case, build, run, write_c
from tests.ops.test_lstm import CASES
from tests.torch_helpers import check_module, counts, random_inputs, randomize

# --- .tflite --------------------------------------------------------------------------------------


def changed(data: bytes, change: Callable[[Any], None]) -> bytes:
    """A file after a change to its ``ModelT``."""
    import flatbuffers

    model = parse(data)
    change(model)
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def plain() -> bytes:
    return to_tflite(build(CASES[:1]))


def gives_a_sequence(case: Case) -> bool:
    """Whether a file holds the LSTM alone; the last step is a slice of it, and a reshape."""
    assert isinstance(case.attributes, LstmAttributes)
    return case.attributes.sequence


@pytest.mark.parametrize("case", list(filter(gives_a_sequence, CASES)), ids=lambda c: str(c.name))
def test_reads_what_it_writes(case: Any, tmp_path: Path) -> None:
    graph = build([case])
    data = to_tflite(graph)
    again = load(data, "net")
    assert [n.attributes for n in again.nodes] == [n.attributes for n in graph.nodes]
    for name, other in zip(graph.nodes[0].inputs, again.nodes[0].inputs, strict=True):
        constant = graph.constant(name)
        if constant is not None:
            np.testing.assert_array_equal(again.constant(other), constant)
    write_c(again, tmp_path)
    report = verify(Artifact(again, data, "net", tmp_path), RUNNERS, random_feeds(again, 5, 0))
    assert report.passed
    assert all(r.available or r.name in OPTIONAL_RUNNERS for r in report.runners)


def _absent(position: int) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        operator = model.subgraphs[0].operators[0]
        operator.inputs = operator.inputs.copy()
        operator.inputs[position] = -1

    return change


def _present(position: int, like: int) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        operator = model.subgraphs[0].operators[0]
        operator.inputs = operator.inputs.copy()
        operator.inputs[position] = operator.inputs[like]

    return change


def _scale(position: int, factor: float) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        graph = model.subgraphs[0]
        quantization = graph.tensors[graph.operators[0].inputs[position]].quantization
        quantization.scale = quantization.scale * np.float32(factor)

    return change


def _relu(model: Any) -> None:
    model.subgraphs[0].operators[0].builtinOptions.fusedActivationFunction = 1


def _int8_cell(model: Any) -> None:
    graph = model.subgraphs[0]
    graph.tensors[graph.operators[0].inputs[19]].type = 9


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_present(10, 12), "peepholes"),
        (_present(16, 5), "a projection"),
        (_present(21, 12), "layer norm"),
        (_absent(1), "CIFG"),
        (_absent(13), "no input 13"),
        (_absent(19), "no input 19"),
        (_relu, "another activation"),
        (_int8_cell, "cell state is int8"),
        (_scale(19, 1.5), "power of two"),
        (_scale(18, 2.0), "hidden state and its output"),
    ],
)
def test_refuses_what_tflite_micro_lacks(change: Callable[[Any], None], reason: str) -> None:
    with pytest.raises(UnsupportedError, match=reason):
        load(changed(plain(), change), "net")


def float_file(weights: list[Array], biases: list[Array], steps: int, clip: float) -> bytes:
    """A float LSTM with the weights of input and recurrence of four gates."""
    file = ModelFile()
    units, depth = weights[0].shape
    x = file.tensor("x", (1, steps, depth), "float32")
    y = file.tensor("y", (1, steps, units), "float32")
    inputs = [-1] * 24
    inputs[0] = x
    inputs[1:9] = [file.constant(f"w{i}", w, np.float32) for i, w in enumerate(weights)]
    inputs[12:16] = [file.constant(f"b{i}", b, np.float32) for i, b in enumerate(biases)]
    inputs[18:20] = [file.tensor(name, (1, units), "float32") for name in ("h", "c")]
    for index in inputs[18:20]:
        file.model.subgraphs[0].tensors[index].isVariable = True
    options = file.options(
        "UnidirectionalSequenceLSTMOptions",
        fusedActivationFunction=4, cellClip=clip, timeMajor=False,
    )  # fmt: skip
    file.operator("UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, [y], options)
    return file.finish([x], [y])


@pytest.mark.parametrize("clip", [0.0, 0.2])
def test_float_file_equals_its_interpreter(clip: float) -> None:
    from ai_edge_litert.interpreter import Interpreter

    rng = np.random.default_rng(0)
    weights = [rng.normal(0, 1, (4, n)).astype(np.float32) for n in (3,) * 4 + (4,) * 4]
    biases = [rng.normal(0, 1, 4).astype(np.float32) for _ in range(4)]
    data = float_file(weights, biases, 6, clip)
    graph = load(data, "net")
    x = rng.normal(0, 1, (1, 6, 3)).astype(np.float32)
    interpreter = Interpreter(model_content=data)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    wanted = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    got = run_float(graph, {graph.inputs[0]: x[None]})[graph.outputs[0]][0]
    np.testing.assert_allclose(got, wanted, atol=1e-5)


# --- torch ----------------------------------------------------------------------------------------


class Tagger(nn.Module):
    """Some of an LSTM's results, by a function of (sequence, (hidden, cell))."""

    def __init__(self, pick: Callable[[Tensor, Tensor, Tensor], Tensor], **options: Any) -> None:
        super().__init__()
        self.lstm = nn.LSTM(6, 8, **options)
        self.pick = pick

    def forward(self, x: Tensor) -> Tensor:
        sequence, (hidden, cell) = self.lstm(x)
        return self.pick(sequence, hidden, cell)


def sequence(y: Tensor, h: Tensor, c: Tensor) -> Tensor:
    return y


def hidden(y: Tensor, h: Tensor, c: Tensor) -> Tensor:
    return h.squeeze(0)


def both(y: Tensor, h: Tensor, c: Tensor) -> Tensor:
    return y + h.reshape(1, 1, 8)


def last_layer(y: Tensor, h: Tensor, c: Tensor) -> Tensor:
    return h[-1]


def last_step(y: Tensor, h: Tensor, c: Tensor) -> Tensor:
    return y[:, -1]


@pytest.mark.parametrize(
    ("pick", "options", "nodes"),
    [
        (sequence, {"batch_first": True}, 1),
        (sequence, {"batch_first": False}, 1),
        (sequence, {"batch_first": True, "num_layers": 3, "dropout": 0.5}, 3),
        (sequence, {"batch_first": True, "bias": False}, 1),
        (hidden, {"batch_first": True}, 1),
        (both, {"batch_first": True}, 1),
        (last_layer, {"batch_first": True, "num_layers": 2}, 2),
        (last_step, {"batch_first": True}, 1),
        (last_step, {"batch_first": False, "num_layers": 2}, 2),
    ],
)
def test_equals_torch(pick: Any, options: dict[str, Any], nodes: int, tmp_path: Path) -> None:
    module = Tagger(pick, **options)
    graph = check_module(module, (1, 7, 6))
    assert counts(graph)["lstm"] == nodes
    assert (
        not {"slice", "concat"} & counts(graph).keys() or pick is both or steps_are_batches(options)
    )
    x = np.random.default_rng(0).normal(0, 1, (60, 1, 7, 6)).astype(np.float32)
    feeds = {graph.inputs[0]: x}
    int8 = quantize_graph(graph, feeds)
    errors = layer_errors(graph, int8, feeds)
    assert min(error.sqnr_db for error in errors) > 28
    assert run(Graph("net", *_parts(int8)), tmp_path, random_feeds(int8, 5, 0)).passed


def _parts(graph: Graph) -> tuple[Any, ...]:
    return graph.nodes, graph.tensors, graph.inputs, graph.outputs


def steps_are_batches(options: dict[str, Any]) -> bool:
    """Without ``batch_first`` the second axis, of which the last is taken, is no time."""
    return not options["batch_first"]


class TimeMajor(Tagger):
    def forward(self, x: Tensor) -> Tensor:
        return self.lstm(x.transpose(0, 1))[0].transpose(0, 1)


def test_time_major_costs_no_transpose() -> None:
    graph = check_module(TimeMajor(sequence), (1, 7, 6))
    assert counts(graph)["transpose"] == 0
    attributes = [n.attributes for n in graph.nodes if n.op == "lstm"]
    assert attributes == [LstmAttributes(time_major=True)]


class Started(Tagger):
    def forward(self, x: Tensor) -> Tensor:
        return self.lstm(x, (torch.ones(1, 1, 8), torch.ones(1, 1, 8)))[0]


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (Tagger(sequence, batch_first=True, bidirectional=True), "bidirectional"),
        (Tagger(sequence, batch_first=True, proj_size=2), "projections"),
        (Tagger(lambda y, h, c: c, batch_first=True), "final cell state"),
        (Started(sequence, batch_first=True), "initial state"),
    ],
)
def test_refuses(module: nn.Module, reason: str) -> None:
    with pytest.raises(UnsupportedError, match=reason):
        load_module(randomize(module), random_inputs([(1, 7, 6)]), "net")
