from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgecnn.errors import UnsupportedError
from edgecnn.evaluate import evaluate
from edgecnn.frontends.tflite import load
from edgecnn.frontends.torch_export import load_module
from edgecnn.ir import Attributes, Graph, Node, QuantParams, Tensor
from edgecnn.operators import operator
from edgecnn.ops.argmax import ArgmaxAttributes
from edgecnn.passes import pipeline
from edgecnn.quantization.error import layer_errors
from edgecnn.quantization.quantize import quantize_graph
from edgecnn.simulator import run_int
from edgecnn.support import problems
from firmware_export.tflite_writer import to_tflite
from tests.frontends.torch_modules import Call, conv
from tests.ops.case_table import Case, Rng, Value, build, check, random_cases, run
from tests.torch_helpers import check_module, counts, random_inputs


def argmax(name: str, shape: tuple[int, ...], axis: int) -> Case:
    return Case(name, "argmax", [Value(shape, 0.05, 3)], ArgmaxAttributes(axis))


CASES = [
    argmax("vector", (1, 10), 1),
    argmax("channels", (1, 3, 4, 5), 3),
    argmax("rows", (1, 3, 4, 5), 1),
    argmax("columns", (1, 3, 4, 5), 2),
    argmax("one-value", (1, 1), 1),
    argmax("first-axis", (4, 3), 0),
    argmax("rank-5", (1, 2, 3, 4, 2), 2),
]


def random_argmax(rng: Rng, name: str) -> Case:
    shape = (1, *(int(n) for n in rng.integers(1, 9, int(rng.integers(1, 4)))))
    return argmax(name, shape, int(rng.integers(1, len(shape))))


def test_cases(tmp_path: Path) -> None:
    check(CASES, tmp_path)


def test_random(tmp_path: Path) -> None:
    check(random_cases(random_argmax, 48, 1), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 7))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check(random_cases(random_argmax, 48, seed), tmp_path, seed=seed)


def test_of_equal_values_the_first_wins(tmp_path: Path) -> None:
    case = argmax("y", (1, 5), 1)
    check([case], tmp_path, feeds={"y/0": np.array([[[3, 7, 7, -1, 7]]], np.int8)})


def test_is_read_back() -> None:
    graph = build([argmax("y", (1, 3, 4, 5), 2)])
    again = load(to_tflite(graph), "net")
    assert again.nodes == graph.nodes
    assert to_tflite(again) == to_tflite(graph)


def test_refuses_to_be_read() -> None:
    graph = build([argmax("y", (1, 3, 4), 2)])
    quant = QuantParams.per_tensor(0.1, 0)
    tensors = {**graph.tensors, "z": Tensor("z", (1, 3), "int8", None, quant)}
    nodes = (*graph.nodes, Node("relu", ("y",), ("z",), Attributes()))
    graph = Graph("net", nodes, tensors, graph.inputs, ("z",))
    reason = operator("argmax").unsupported(graph.nodes[0], graph)
    assert "read by relu" in (reason or "")


# --- in networks ----------------------------------------------------------------------------------


class Classifier(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = conv(1, 4), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(torch.relu(self.conv(x)).mean((2, 3))).argmax(1)


def test_a_classifier_that_ends_in_argmax(tmp_path: Path) -> None:
    graph = pipeline.run(load_module(Classifier().eval(), random_inputs([(1, 1, 8, 8)]), "net"))
    assert graph.nodes[-1].op == "argmax"
    rng = np.random.default_rng(1)
    x = {graph.inputs[0]: rng.normal(0, 1, (40, 1, 8, 8, 1)).astype(np.float32)}
    int8 = quantize_graph(graph, x)
    assert problems(int8) == ()
    assert run(int8, tmp_path, {graph.inputs[0]: rng.integers(-128, 128, (5, 1, 8, 8, 1), np.int8)})
    assert "const int32_t *net_output(const void *arena);" in (tmp_path / "net.h").read_text()
    labels = rng.integers(0, 3, 40)
    found = evaluate(int8, lambda feeds: run_int(int8, feeds), x, labels, graph)
    assert found.agreement is not None
    assert found.agreement > 0.9
    assert 0 < found.int8_accuracy < 1
    assert {error.op for error in layer_errors(graph, int8, x)} >= {"conv2d", "fully_connected"}


def test_argmax_of_channels_needs_no_transpose() -> None:
    graph = check_module(Call(lambda m, x: m.c(x).argmax(1), c=conv(3, 4)), (1, 3, 9, 7))
    assert counts(graph)["transpose"] == 0


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda m, x: x.argmax(), "all values"),
        (lambda m, x: x.argmax(1, keepdim=True), "keeps its axis"),
        (lambda m, x: x.argmax(0), "samples of a batch"),
    ],
)
def test_refuses(function: object, reason: str) -> None:
    with pytest.raises(UnsupportedError, match=reason):
        load_module(Call(function), random_inputs([(1, 3, 5, 5)]), "net")  # type: ignore[arg-type]
