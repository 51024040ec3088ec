from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from edgecnn.errors import DataError, UnsupportedError
from edgecnn.frontends.tflite import load
from edgecnn.frontends.torch_export import load_module
from edgecnn.ir import Graph
from edgecnn.ops.table import TableAttributes
from edgecnn.parity import random_feeds
from edgecnn.passes import pipeline
from edgecnn.quantization.error import layer_errors
from edgecnn.quantization.quantize import quantize_graph
from edgecnn.support import problems
from firmware_export.tflite_writer import to_tflite
from tests.frontends.elementwise_modules import FUNCTIONS, NETWORKS
from tests.frontends.torch_modules import IMAGE, Call, conv
from tests.ops.case_table import OPTIONAL_RUNNERS, run
from tests.torch_helpers import check_module, counts, random_inputs, randomize


@pytest.mark.parametrize("case", FUNCTIONS)
def test_a_function_is_one_node(case: str) -> None:
    module, op = FUNCTIONS[case]
    graph = check_module(module, IMAGE)
    assert [node.op for node in graph.nodes] == ["conv2d", op]
    check_quantized(graph)


@pytest.mark.parametrize("case", NETWORKS)
def test_networks(case: str) -> None:
    module, shapes, wanted = NETWORKS[case]
    graph = check_module(module, *shapes)
    found = counts(graph)
    assert {op: found[op] for op in wanted} == wanted
    assert found["transpose"] == 0
    check_quantized(graph)


def check_quantized(graph: Graph) -> None:
    """The int8 network can be exported, and is near the float one."""
    rng = np.random.default_rng(3)
    feeds = {
        name: rng.normal(0, 2, (16, *graph.tensors[name].shape)).astype(np.float32)
        for name in graph.inputs
    }
    int8 = quantize_graph(graph, feeds, "minmax")
    assert problems(int8) == ()
    *_, last = layer_errors(graph, int8, feeds)
    assert last.sqnr_db > 20


# --- whole networks -------------------------------------------------------------------------------


def blocks(activation: type[nn.Module]) -> nn.Module:
    """Convolution, batch norm and activation, three times, and a classifier."""
    channels = (3, 8, 12, 8)
    layers: list[nn.Module] = []
    for i, o in itertools.pairwise(channels):
        layers += [conv(i, o, padding=1), nn.BatchNorm2d(o), activation()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))


@pytest.mark.parametrize("activation", [nn.Mish, nn.SiLU, nn.GELU, nn.Hardswish, nn.Sigmoid])
def test_blocks_are_exact_on_every_runner_and_accurate(
    activation: type[nn.Module], tmp_path: Path
) -> None:
    module = blocks(activation)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, 0, 0.3)
    graph = pipeline.run(load_module(module.eval(), random_inputs([(1, 3, 12, 12)]), "net"))
    found = counts(graph)
    assert found["conv2d"] == 3
    assert found["table"] + found["hard_swish"] + found["sigmoid"] == 3
    rng = np.random.default_rng(1)
    feeds = {graph.inputs[0]: rng.normal(0, 1, (32, 1, 12, 12, 3)).astype(np.float32)}
    int8 = quantize_graph(graph, feeds)
    assert problems(int8) == ()
    assert layer_errors(graph, int8, feeds)[-1].sqnr_db > 20
    report = run(int8, tmp_path, random_feeds(int8, 8, 2))
    assert report.passed, report.summary()
    assert {r.name for r in report.runners if not r.available} <= OPTIONAL_RUNNERS
    again = load(to_tflite(int8), "net")
    assert to_tflite(again) == to_tflite(load(to_tflite(again), "net"))


def test_the_root_of_a_negative_range_is_refused() -> None:
    """Calibration finds NaN where a network leaves the domain of its function."""
    module = randomize(Call(lambda m, x: torch.sqrt(m.c(x)), c=conv(3, 4)))
    graph = pipeline.run(load_module(module, random_inputs([IMAGE]), "net"))
    rng = np.random.default_rng(1)
    feeds = {graph.inputs[0]: rng.normal(0, 1, (4, 1, 9, 7, 3)).astype(np.float32)}
    with pytest.raises(DataError, match="not finite"):
        quantize_graph(graph, feeds)


def test_division_by_zero_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="constant that is 0"):
        load_module(Call(lambda m, x: x / torch.zeros(1)), random_inputs([IMAGE]), "net")


def test_powers_of_negative_numbers_are_refused() -> None:
    with pytest.raises(UnsupportedError, match="only of positive numbers"):
        load_module(Call(lambda m, x: (-2) ** x), random_inputs([IMAGE]), "net")


def test_fusing_needs_the_same_shape() -> None:
    """A sum over two shapes is no function of one value."""
    graph = check_module(
        Call(lambda m, x: torch.tanh(m.c(x)) + m.c(x).mean((2, 3), True), c=conv(3, 4)), IMAGE
    )
    assert counts(graph)["table"] == 0


def test_a_fused_table_keeps_its_function() -> None:
    graph = check_module(Call(lambda m, x: m.c(x * torch.sigmoid(x)), c=conv(3, 4)), IMAGE)
    table = next(node for node in graph.nodes if node.op == "table")
    assert isinstance(table.attributes, TableAttributes)
    assert [step.op for step in table.attributes.steps] == ["sigmoid", "mul"]
