"""Exports whose input comes in rows: what is in the folder, and what is refused."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import edgecnn
from edgecnn.errors import UserError
from edgecnn.ir import Graph
from edgecnn.ops.add import AddAttributes
from edgecnn.ops.conv2d import Conv2DAttributes
from firmware_export import manifest
from firmware_export.export import ExportResult
from firmware_export.tflite_writer import to_tflite
from firmware_export.toolchain import STRICT_FLAGS
from tests.command_line import contents, fails, seeded, succeeds, two_inputs, write
from tests.generated_networks import compile_or_fail
from tests.streaming.networks import ImageNetwork, expected, residual_network
from tests.test_generated_c import EXTRA_WARNINGS

#: Cores without the DSP extension, of which the first takes aligned words alone.
ROWS = ("--feed", "rows")
RUNNERS = ("--runners", "tflm,host-c,cortex-m4")


def odd_network() -> Graph:
    """Rows of 21, 35 and 12 bytes: none but the last begins at a word each time."""
    net = ImageNetwork(4)
    net.tensors = {"in0": replace(net.tensors["in0"], shape=(1, 11, 7, 3))}
    for units, stride in ((5, 1), (5, 1), (3, 2)):
        image = net.nodes[-1].output if net.nodes else "in0"
        inputs = net.weights(net.tensors[image], (units, 3, 3, net.tensors[image].shape[3]), units)
        attributes = Conv2DAttributes((stride, stride), (1, 1, 1, 1), activation="relu")
        net.emit("conv2d", inputs, attributes, net._quant())
        if len(net.nodes) == 2:
            both = [node.output for node in net.nodes]
            net.emit("add", both, AddAttributes("relu"), net._quant())
    net.mean()
    return net.graph().replace(outputs=(net.nodes[-1].output,))


@pytest.fixture(scope="module")
def tflite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("model") / "net.tflite", to_tflite(residual_network()))


@pytest.fixture(scope="module")
def fed(tflite: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported folder."""
    out = tmp_path_factory.mktemp("fed") / "out"
    succeeds("export", tflite, "-o", out, *ROWS, *RUNNERS, "--samples", 2, "--cpu", "cortex-m4")
    return out


# --- the folder -------------------------------------------------------------------------------


def test_the_folder_says_how_the_input_comes(fed: Path) -> None:
    assert manifest.read(fed)["feed"] == "rows"
    assert manifest.open_export(fed).is_fed
    header = (fed / "net.h").read_text()
    assert "int net_feed_rows(void *arena" in header
    assert "net_input(" not in header


def test_is_verified_and_profiled_from_its_folder(fed: Path) -> None:
    report = succeeds("verify", fed, *RUNNERS, "--samples", 2, "--json").json
    assert report["passed"]
    assert {r for r, found in report["runners"].items() if found["values"]} >= {
        "host-c",
        "cortex-m4",
    }
    for core in ("cortex-m4", "cortex-m0plus"):
        found = succeeds("profile", fed, "--cpu", core, "--json").json
        assert found["arena_bytes"] == manifest.read(fed)["arena_bytes"]
        assert len(found["layers"]) == len(manifest.read(fed)["layers"])
        assert found["cycles"] >= sum(layer["cycles"] for layer in found["layers"]) > 0


def negated(found: re.Match[str]) -> str:
    """The first weight of an array with its bits the other way round."""
    return f"{found[1]}{~int(found[2])}"


def test_a_spoilt_weight_is_found_from_the_folder(fed: Path, tmp_path: Path) -> None:
    """The comparison that passes above can fail."""
    spoilt = shutil.copytree(fed, tmp_path / "out")
    weights = spoilt / "net_weights.c"
    text, count = re.subn(
        r"(int8_t \w+\[\d+\] = \{\s*)(-?\d+)", negated, weights.read_text(), count=1
    )
    assert count == 1
    weights.write_text(text)
    line = fails(1, "verify", spoilt, "--runners", "numpy,host-c", "--quiet")
    assert "host-c differs from numpy" in line


def test_is_evaluated_from_its_folder(fed: Path, tmp_path: Path) -> None:
    """With the labels that the reference gives; one of them is changed."""
    graph = residual_network()
    feeds, values = expected(graph, 5, 3)
    y = values[graph.outputs[0]].reshape(len(feeds["in0"]), -1).argmax(1)
    y[0] = (y[0] + 1) % 8
    np.savez(tmp_path / "data.npz", x=feeds["in0"].reshape(len(y), 12, 8, 4), y=y)
    found = succeeds("evaluate", fed, "--data", tmp_path / "data.npz", "--json").json
    assert found["samples"] == len(y)
    assert found["int8"]["accuracy"] == pytest.approx(1 - 1 / len(y), abs=1e-9)


def test_two_exports_are_the_same_bytes(fed: Path, tflite: Path, tmp_path: Path) -> None:
    again = ("export", tflite, "-o", tmp_path / "again", *ROWS, *RUNNERS, "--samples", 2)
    succeeds(*again, "--cpu", "cortex-m4")
    assert contents(fed) == contents(tmp_path / "again")


@pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")
def test_compiles_without_a_warning(fed: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(fed, tmp_path / "out")
    for source in ("net.c", "net_weights.c"):
        flags = [*STRICT_FLAGS, *EXTRA_WARNINGS, "-O2"]
        compile_or_fail(["gcc", *flags, "-c", source, "-o", "out.o"], folder)


@pytest.mark.parametrize(
    "cpu", [pytest.param("cortex-m3", marks=pytest.mark.slow), "cortex-m0plus"]
)
def test_rows_that_are_no_words_on_cores_without_dsp(cpu: str, tmp_path: Path) -> None:
    """Byte by byte, with guards around the arena and no access that the core would refuse."""
    graph = odd_network()
    result: ExportResult = edgecnn.export(
        graph, tmp_path / "out", cpu=cpu, feed="rows", optimize="memory", samples=1,
        runners=["numpy", "host-c", cpu],
    )  # fmt: skip
    assert result.parity.passed
    assert {r.name for r in result.parity.runners if r.values} == {"numpy", "host-c", cpu}
    assert result.choice is not None
    assert result.choice.stream is not None
    assert any(line.row_bytes % 4 for line in result.choice.stream.lines)
    assert result.profile is not None
    assert result.profile.cpu == cpu


# --- what is refused --------------------------------------------------------------------------


def linear() -> torch.nn.Module:
    """A factory of a network that begins with a fully connected layer."""
    return seeded(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 4)))


def noisy(module: torch.nn.Module, *shapes: tuple[int, ...]) -> Graph:
    """An int8 graph, calibrated on noise."""
    rng = np.random.default_rng(0)
    graph = edgecnn.load(module, tuple(torch.zeros(shape) for shape in shapes))
    samples = [rng.random((4, *shape[1:])) for shape in shapes]
    return edgecnn.quantize(graph, dict(zip(graph.inputs, samples, strict=True)))


REFUSED: dict[str, Callable[[], Graph]] = {
    "two inputs": lambda: noisy(two_inputs(), (1, 1, 6, 6), (1, 2, 4, 4)),
    "fully connected first": lambda: noisy(linear(), (1, 1, 8, 8)),
    "three dimensions": lambda: noisy(torch.nn.Linear(8, 4), (1, 5, 8)),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_networks_that_cannot_take_rows(kind: str, tmp_path: Path) -> None:
    model = write(tmp_path / "net.tflite", to_tflite(REFUSED[kind]()))
    for call in (("export", model, "-o", tmp_path / "out"), ("analyze", model)):
        line = fails(2, *call, *ROWS, "--quiet")
        assert line.startswith("--feed rows: the first layer has to be one that works on rows")
    assert list(tmp_path.iterdir()) == [model]


def test_rows_are_not_float(tflite: Path, tmp_path: Path) -> None:
    line = fails(2, "export", tflite, "-o", tmp_path / "out", *ROWS, "--float-io", "--quiet")
    assert line == "--float-io and --feed rows exclude each other: rows are int8"
    assert list(tmp_path.iterdir()) == []


def test_a_feed_that_there_is_not(tflite: Path, tmp_path: Path) -> None:
    assert "--feed" in fails(2, "export", tflite, "-o", tmp_path / "out", "--feed", "columns")
    with pytest.raises(UserError, match="--feed is 'columns'; it can be input, rows"):
        edgecnn.export(residual_network(), tmp_path / "out", feed="columns")
    assert list(tmp_path.iterdir()) == []
