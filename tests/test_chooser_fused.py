"""Layers are computed together where that takes fewer cycles, or less RAM."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import edgecnn
from edgecnn.ir import Graph
from edgecnn.ops.max_pool2d import MaxPool2DAttributes
from firmware_export import manifest
from firmware_export.c_writer import Provenance, to_c
from firmware_export.chooser import Choice, choose_kernels
from firmware_export.chooser.selection import FUSED, SEPARATE, Budget, Frame, select
from firmware_export.device.target import choose
from firmware_export.fast_kernel import SHARED
from firmware_export.fused_kernel import pairs
from tests.command_line import succeeds
from tests.fast.fused_cases import pooling
from tests.ops.case_table import build
from tests.ops.test_conv2d import conv

M4 = choose("cortex-m4", None)
HALVES = MaxPool2DAttributes((2, 2), (2, 2))
POOLED = {"conv2d_pooled", "conv2d_pooled" + SHARED}


def network() -> Graph:
    """An image of one channel, a convolution, a pooling, and a convolution behind it."""
    first = conv("c", (16, 16, 1), (8, 3, 3, 1), padding=(1, 1, 1, 1), activation="relu")
    graph = build([first, conv("d", (8, 8, 8), (4, 1, 1, 8))])
    node, tensor = pooling(graph, "c", HALVES)
    last = graph.nodes[1]
    last = replace(last, inputs=(tensor.name, *last.inputs[1:]))
    return Graph(
        "net",
        (graph.nodes[0], node, last),
        {**graph.tensors, tensor.name: tensor},
        ("c/0",),
        ("d",),
    )


def alike() -> Graph:
    """Two convolutions of one shape, of which one is pooled."""
    first = conv("first", (8, 8, 1), (4, 3, 3, 1))
    graph = build([first, replace(first, name="second")])
    node, tensor = pooling(graph, "first", HALVES)
    tensors = {**graph.tensors, tensor.name: tensor}
    return graph.replace(
        nodes=(*graph.nodes, node), tensors=tensors, outputs=("second", tensor.name)
    )


def deep() -> Graph:
    """Winograd convolution takes fewer cycles here than its fused competitor."""
    graph = build([conv("c", (16, 16, 32), (32, 3, 3, 32), padding=(1, 1, 1, 1))])
    node, tensor = pooling(graph, "c", HALVES)
    return graph.replace(
        nodes=(*graph.nodes, node),
        tensors={**graph.tensors, tensor.name: tensor},
        outputs=(tensor.name,),
    )


@pytest.fixture(scope="module")
def chosen() -> Choice:
    return choose_kernels(network(), M4, "speed")


def arena(graph: Graph, choice: Choice | None = None) -> int:
    layers = {} if choice is None else choice.selection.layers
    network = to_c(graph, "net", Provenance("", "", ""), chosen=layers)
    return network.plan.arena_bytes


def kernel_of(choice: Choice, op: str) -> list[str]:
    """What was taken for the groups of an operator, or operators."""
    found = zip(choice.trials, choice.selection.kernels, strict=True)
    return [kernel for tried, kernel in found if tried.group.op == op]


def test_fewer_cycles_and_a_smaller_arena(chosen: Choice) -> None:
    (fused,) = kernel_of(chosen, "conv2d + max_pool2d")
    assert fused in POOLED
    assert kernel_of(chosen, "max_pool2d") == [FUSED]
    assert set(chosen.selection.layers) == {"c/pooled", "d"}
    assert chosen.selection.layers["c/pooled"].inside == ("c",)
    first, pool, _, together = (min(t.cycles for t in found.trials) for found in chosen.trials)
    assert together < 0.9 * (first + pool)
    assert arena(network(), chosen) < arena(network()) - 8 * 16 * 16 / 2
    assert chosen.selection.arena_bytes == arena(network(), chosen)


def test_the_others_by_themselves() -> None:
    """Of two layers of a kind, one may be in another, and the kernel is the other's still."""
    choice = choose_kernels(alike(), M4, "speed")
    assert [t.group.members for t in choice.trials] == [((0,), (1,)), ((2,),), ((0, 2),)]
    assert choice.selection.kernels[0] != FUSED
    assert choice.selection.kernels[1] == FUSED
    assert choice.selection.kernels[2] in POOLED
    assert set(choice.selection.layers) == {"second", "first/pooled"}
    cycles = {t.kernel: t.cycles for tried in choice.trials for t in tried.trials}
    both = zip(choice.selection.kernels, (1, 0, 1), strict=True)
    assert choice.selection.cycles == sum(cycles[k] * n for k, n in both if n)


def test_separate_where_that_is_faster() -> None:
    graph = deep()
    choice = choose_kernels(graph, M4, "speed")
    assert choice.selection.kernels[-1] == SEPARATE
    assert FUSED not in choice.selection.kernels
    memory = choose_kernels(graph, M4, "memory")
    assert arena(graph, memory) < arena(graph, choice)
    limit = arena(graph, choice) - 1
    assert select(Frame.of(graph), choice.trials, Budget(ram=limit)).arena_bytes <= limit


@pytest.mark.parametrize("optimize", ["speed", "balanced", "memory"])
def test_the_same_again_from_the_cache(optimize: str) -> None:
    first, again = (choose_kernels(network(), M4, optimize).to_json() for _ in range(2))
    assert first == again
    assert {entry["op"] for entry in first} == {"conv2d", "max_pool2d", "conv2d + max_pool2d"}
    assert [entry["layers"] for entry in first] == [[0], [1], [2], [0, 1]]


def test_little_flash(chosen: Choice) -> None:
    most = chosen.selection.flash_bytes
    smallest = select(Frame.of(network()), chosen.trials, Budget(flash=0))
    for limit in range(smallest.flash_bytes, most, 150):
        found = select(Frame.of(network()), chosen.trials, Budget(flash=limit))
        assert found.flash_bytes <= limit
        assert chosen.selection.cycles <= found.cycles <= smallest.cycles


def test_what_is_an_output_is_not_fused() -> None:
    graph = network().replace(outputs=("d", "c"))
    assert (0, 1) not in pairs(graph)
    choice = choose_kernels(graph, M4, "memory")
    assert {tried.group.is_fused for tried in choice.trials} == {False}


def test_cores_without_dsp_instructions() -> None:
    choice = choose_kernels(network(), choose("cortex-m3", None), "speed")
    assert {tried.group.is_fused for tried in choice.trials} == {False}


RUNNERS = ["tflm", "host-c", "cortex-m4", "cortex-m7", "qemu-mps2-an386"]


def checked(runners: dict[str, Any], graph: Graph) -> None:
    """All tensors of the oracle, and of the C all but the one that it does not have."""
    for name, result in runners.items():
        assert result["mismatches"] == 0
        hidden = 0 if name == "tflm" else 1
        assert result["tensors"] in (0, len(graph.activations()) - hidden), name
    assert runners["host-c"]["available"]
    assert runners["cortex-m4"]["available"]


@pytest.mark.parametrize(
    "optimize",
    [
        pytest.param("speed", marks=pytest.mark.slow),
        "balanced",
        pytest.param("memory", marks=pytest.mark.slow),
    ],
)
def test_an_export(optimize: str, tmp_path: Path) -> None:
    graph, folder = network(), tmp_path / "out"
    result = edgecnn.export(
        graph, folder, optimize=optimize, runners=RUNNERS, remove_channels=False
    )
    checked(result.parity.to_json()["runners"], graph)
    assert result.memory.arena_bytes == manifest.read(folder)["arena_bytes"]
    assert "edgecnn_conv2d_pooled.h" in result.files
    facts = manifest.read(folder)["tensors"]
    assert [tensor["name"] for tensor in facts if not tensor["is_stored"]] == ["c"]
    assert manifest.open_export(folder).c_tensors == tuple(graph.activations())
    found = succeeds("verify", folder, "--runners", ",".join(RUNNERS), "--json").json
    checked(found["runners"], graph)
    layers = succeeds("profile", folder, "--json").json["layers"]
    assert [layer["op"] for layer in layers] == ["conv2d + max_pool2d", "conv2d"]
    assert [layer["index"] for layer in layers] == [1, 2]
    assert layers[0]["macs"] == 16 * 16 * 8 * 9
    report = (folder / "report.html").read_text()
    assert "conv2d + max_pool2d" in report
    assert '<td class="n">in 1</td>' in report


def test_float_ends(tmp_path: Path) -> None:
    result = edgecnn.export(network(), tmp_path / "out", float_io=True, runners=RUNNERS[:3])
    assert result.parity.passed
