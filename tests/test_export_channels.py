"""Exports without idle channels: proved on the network as it was given, on every runner."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgecnn
from edgecnn.errors import ParityError
from edgecnn.ir import Array, Graph, Tensor
from edgecnn.parity import Artifact, ParityReport, random_feeds, verify
from edgecnn.passes.remove_channels import Removal, remove_channels
from edgecnn.support import problems
from firmware_export import preparation
from firmware_export.export import Evidence
from firmware_export.runners import HOST_RUNNERS, select
from firmware_export.scratch import generated
from firmware_export.tflite_writer import to_tflite
from tests.command_line import EXACT_RUNNERS, succeeds, write
from tests.network_builder import side_by_side
from tests.passes.idle_networks import idle_network
from tests.passes.int8_sketch import Int8Sketch

NETWORKS = 12


def idle() -> Graph:
    """Two convolutions; channel 1 of the first is dead, channel 2 constant."""
    rng = np.random.default_rng(3)
    first, second = rng.integers(-90, 90, (5, 3, 3, 2)), rng.integers(-90, 90, (3, 5))
    first[2], second[:, 1] = 0, 0
    s = Int8Sketch(1, 6, 6, 2)
    hidden = s.conv(s.x, first, [100, 0, -700, 300, 0], padding=(1, 1, 1, 1), activation="relu")
    return s.graph(s.conv(hidden, second, [400, 0, -400]))


def against(given: Graph, written: Graph, runners: Sequence[str]) -> ParityReport:
    """Run a network on runners, and compare with the oracle on another."""
    with generated(written, to_tflite(written)) as artifact:
        reference = replace(artifact, graph=given, tflite=to_tflite(given))
        feeds = random_feeds(written, 4, 0)
        return verify(artifact, select(runners), feeds, reference=reference)


@pytest.mark.parametrize("seed", range(2))
def test_random_networks_on_all_runners(seed: int) -> None:
    rng = np.random.default_rng(seed)
    drawn = [idle_network(rng, 200) for _ in range(NETWORKS)]
    smaller = [graph for graph in drawn if remove_channels(graph).graph is not graph]
    assert len(smaller) >= 3
    given = side_by_side(smaller)
    removal = remove_channels(given)
    assert not problems(removal.graph)
    report = against(given, removal.graph, HOST_RUNNERS)
    assert report.passed, report.summary()
    tensors = removal.graph.activations()
    assert {*tensors} != {*given.activations()}
    for result in report.runners:
        assert result.name not in EXACT_RUNNERS or result.tensors == len(tensors)


def damaged(graph: Graph, name: str) -> Graph:
    """The graph with another bias in the layer that computes a tensor."""
    bias = graph.tensors[graph.producers()[name].inputs[2]]
    assert bias.data is not None
    wrong = Tensor(bias.name, bias.shape, bias.dtype, bias.data + np.int32(500), bias.quant)
    return graph.replace(tensors={**graph.tensors, bias.name: wrong})


@pytest.mark.parametrize("reference", ["tflm", "numpy"])
def test_a_wrong_removal_is_found(reference: str) -> None:
    given, smaller = idle(), remove_channels(idle()).graph
    assert against(given, smaller, [reference, "host-c"]).passed
    report = against(given, damaged(smaller, given.outputs[0]), [reference, "host-c"])
    assert [bool(r.mismatches) for r in report.runners] == [True, True]


def test_a_renamed_tensor_is_compared_among_the_runners() -> None:
    """Of two files that differ in nothing but a tensor that the reference does not have."""
    given, smaller = idle(), remove_channels(idle()).graph
    hidden = smaller.nodes[0].output
    assert hidden not in given.tensors
    with generated(smaller, to_tflite(smaller)) as artifact:
        other = replace(artifact, graph=damaged(smaller, hidden))  # what numpy runs
        reference = Artifact(given, to_tflite(given))
        feeds = random_feeds(smaller, 2, 0)
        tflm, numpy = verify(other, select(["tflm", "numpy"]), feeds, reference=reference).runners
    assert tflm.mismatches == 0
    assert numpy.first_mismatch is not None
    assert numpy.first_mismatch.tensor == hidden


@pytest.mark.parametrize("source", [False, True])
@pytest.mark.parametrize("float_io", [False, True])
def test_export(float_io: bool, source: bool, tmp_path: Path) -> None:
    graph = idle()
    result = edgecnn.export(
        graph, tmp_path / "out", runners=HOST_RUNNERS, float_io=float_io,
        source_tflite=to_tflite(graph, float_io=float_io) if source else None,
    )  # fmt: skip
    assert result.parity.passed
    assert result.channels is not None
    assert result.channels.removed == {graph.nodes[0].output: 2}
    assert result.graph.tensors[result.graph.nodes[0].output].shape == (1, 6, 6, 3)
    assert result.to_json()["channels"] == result.channels.to_json()
    assert result.channels.summary() in (tmp_path / "out" / "report.html").read_text()
    counts = {r.name: r.tensors for r in result.parity.runners}
    assert {counts[name] for name in EXACT_RUNNERS} == {4 if float_io else 3}


def test_export_compares_with_all_channels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a network that came as no file, too: a wrong pass would not go unseen."""

    def wrong(graph: Graph) -> Removal:
        removal = remove_channels(graph)
        return replace(removal, graph=damaged(removal.graph, graph.outputs[0]))

    monkeypatch.setattr(preparation, "without_idle_channels", wrong)
    with pytest.raises(ParityError, match="conv2d1"):
        edgecnn.export(idle(), tmp_path / "out", runners=["tflm", "numpy"])
    assert not (tmp_path / "out").exists()


def test_all_channels_stay_on_request(tmp_path: Path) -> None:
    model = write(tmp_path / "idle.tflite", to_tflite(idle()))
    quick = ("--runners", "tflm,host-c", "--samples", 2)
    text = succeeds("export", model, "-o", tmp_path / "less", *quick).out
    assert "channels removed: 2" in text
    options = (*quick, "--keep-channels", "--json")
    facts = succeeds("export", model, "-o", tmp_path / "all", *options).json
    assert "channels" not in facts
    less, whole = (
        json.loads((tmp_path / folder / "manifest.json").read_text()) for folder in ("less", "all")
    )
    assert "--keep-channels" in whole["command"]
    assert "--keep-channels" not in less["command"]
    shapes = [[tensor["shape"][-1] for tensor in facts["tensors"]] for facts in (less, whole)]
    assert shapes == [[2, 3, 3], [2, 5, 3]]
    assert less["weight_bytes"] < whole["weight_bytes"]


def test_errors_of_layers_are_those_of_all_channels(tmp_path: Path) -> None:
    """Channels are lost after the int8 network was compared with the float one."""
    x: Array = np.random.default_rng(0).normal(0, 1, (20, 1, 6, 6)).astype(np.float32)
    import torch

    module = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(), torch.nn.Conv2d(4, 2, 1), torch.nn.Flatten()
    )
    with torch.no_grad():
        module[2].weight[:, 1] = 0
    graph = edgecnn.load(module, torch.zeros(1, 1, 6, 6))
    int8 = edgecnn.quantize(graph, x)
    feeds = {graph.inputs[0]: np.ascontiguousarray(x.transpose(0, 2, 3, 1))}
    options = {"runners": ["numpy"], "evidence": Evidence(float_graph=graph, feeds=feeds)}
    result = edgecnn.export(int8, tmp_path / "out", **options)
    assert result.channels is not None
    assert list(result.channels.removed.values()) == [1]
    renamed = result.graph.nodes[0].output
    assert renamed.endswith("/kept")
    page = (tmp_path / "out" / "report.html").read_text()
    assert "SQNR" in page
    row = next(line for line in page.splitlines() if f'title="{renamed}"' in line)
    assert not row.endswith('<td class="n">–</td></tr>')


def test_vww(shared_path: Callable[[str], Path]) -> None:
    """Half of its work goes, and no byte of what the original file computes."""
    path = shared_path("models/mlperf_tiny/vww_96_int8.tflite")
    given = edgecnn.load(path)
    smaller = remove_channels(given).graph
    with generated(smaller, to_tflite(smaller)) as artifact:
        reference = replace(artifact, graph=given, tflite=path.read_bytes())
        feeds = random_feeds(smaller, 10, 0)
        report = verify(artifact, select(HOST_RUNNERS), feeds, reference=reference)
    assert report.passed, report.summary()
    assert {r.tensors for r in report.runners} == {len(smaller.activations())}
