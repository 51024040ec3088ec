"""Networks with wide layers from end to end: quantized, exported, verified, and read again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edgecnn
from edgecnn import verify as invariants
from edgecnn.frontends.tflite import load
from edgecnn.ir import INT16, Graph
from edgecnn.parity import random_feeds
from edgecnn.passes.remove_channels import remove_channels
from edgecnn.simulator import run_int
from firmware_export.device.build import COMPILERS
from firmware_export.export import ExportResult
from firmware_export.tflite_writer import to_tflite
from tests.command_line import succeeds
from tests.device.exactness import check_accesses, check_exact
from tests.wide.networks import (
    CONV,
    DEPTHWISE,
    LAST,
    LAYERS,
    POINTWISE,
    SUM,
    residual,
    samples,
    with_a_dead_channel,
)

#: Which layers are wide: the first, some, neighbours, the last, all.
CHOICES = [(CONV,), (DEPTHWISE, SUM), (DEPTHWISE, POINTWISE), (LAST,), LAYERS]


def wide_network(*wide: str) -> Graph:
    return edgecnn.quantize(residual(), samples(), wide=wide)


def check_parity(result: ExportResult, *others: str) -> None:
    """Every runner but tflite-runtime compared every tensor that it can show."""
    found = {runner.name: runner for runner in result.parity.runners}
    assert result.parity.passed
    assert result.parity.reference == "tflm"
    for name in ("numpy", "tflm", "litert", "host-c", *others):
        assert found[name].available, found[name].reason
        assert found[name].tensors > 0
    assert (
        "no QUANTIZE from int8 to int16" in found["tflite"].reason or not found["tflite"].available
    )


def test_export(tmp_path: Path) -> None:
    graph = wide_network(DEPTHWISE, SUM)
    result = edgecnn.export(graph, tmp_path / "build", cpu="cortex-m4", samples=3)
    check_parity(result, "cortex-m4")
    types = {t.name: t.dtype for t in graph.tensors.values() if t.data is None}
    assert sum(dtype == INT16 for dtype in types.values()) == 4
    text = (tmp_path / "build" / f"{graph.name}.c").read_text()
    assert "edgecnn_depthwise_conv2d_int16(" in text
    assert "edgecnn_add_int16(" in text
    file = tmp_path / "build" / f"{graph.name}.tflite"
    runners = ("--runners", "numpy,tflm,litert")
    report = succeeds("verify", file, "--samples", 2, *runners, "--json").json
    assert report["passed"]
    assert report["runners"]["litert"]["tensors"] == len(graph.activations())


@pytest.mark.slow
@pytest.mark.parametrize("wide", CHOICES)
@pytest.mark.parametrize("optimize", ["speed", "memory"])
def test_export_of_other_layers(wide: tuple[str, ...], optimize: str, tmp_path: Path) -> None:
    result = edgecnn.export(
        wide_network(*wide), tmp_path / "build", cpu="cortex-m4", optimize=optimize, samples=5
    )
    check_parity(result, "cortex-m4")


@pytest.mark.parametrize("wide", CHOICES)
def test_reads_what_was_written(wide: tuple[str, ...]) -> None:
    graph = wide_network(*wide)
    again = load(to_tflite(graph), graph.name)
    invariants.check(again)
    feeds = random_feeds(graph, 5, 0)
    first, second = run_int(graph, feeds), run_int(again, feeds)
    assert set(graph.activations()) <= set(second)
    for name in graph.activations():
        assert again.tensors[name].dtype == graph.tensors[name].dtype
        np.testing.assert_array_equal(first[name], second[name], name)


@pytest.mark.parametrize("wide", [(), *CHOICES])
def test_channels_that_never_matter(wide: tuple[str, ...]) -> None:
    """What is left out of int8 layers changes no byte, and wide layers keep all they have."""
    graph = edgecnn.quantize(with_a_dead_channel(), samples(), wide=wide)
    smaller = remove_channels(graph).graph
    invariants.check(smaller)
    if not wide:
        assert sum(t.nbytes for t in smaller.tensors.values()) < sum(
            t.nbytes for t in graph.tensors.values()
        )
    for node in smaller.nodes:
        if smaller.is_wide(node) and node.op != "requantize":
            same = next(n for n in graph.nodes if n.output == node.output)
            assert node == same
    feeds = random_feeds(graph, 20, 0)
    np.testing.assert_array_equal(run_int(graph, feeds)[LAST], run_int(smaller, feeds)[LAST])


@pytest.mark.slow
@pytest.mark.parametrize("arm_compiler", COMPILERS, indirect=True)
@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m4"])
def test_on_cores(core: str, arm_compiler: str, tmp_path: Path) -> None:
    graph = wide_network(*LAYERS)
    check_exact(graph, tmp_path, core, arm_compiler)
    check_accesses(graph, tmp_path, core, arm_compiler)


@pytest.mark.slow
def test_keyword_spotting(tmp_path: Path, shared_path: Callable[[str], Path]) -> None:
    """MLPerf Tiny's float model, its first block and its last layer wide."""
    graph = edgecnn.load(shared_path("models/mlperf_tiny/kws_ref_model_float32.tflite"))
    names = [node.output for node in graph.nodes if node.op != "softmax"]
    data = np.random.default_rng(0).normal(size=(16, 49, 10, 1)).astype(np.float32) * 20
    int8 = edgecnn.quantize(graph, data, wide=[*names[:3], names[-1]])
    check_parity(edgecnn.export(int8, tmp_path / "build", cpu="cortex-m4"), "cortex-m4")
