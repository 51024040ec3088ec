"""Cases of the operators' tables, computed by one fast kernel, on the host and emulated cores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from edgecnn import verify as invariants
from edgecnn.ir import Array, Graph, Node, Tensor
from edgecnn.parity import Artifact, Runner, random_feeds, verify
from firmware_export.device.build import COMPILERS, unavailable
from firmware_export.device.cores import CORES, Core
from firmware_export.device.profile import profile
from firmware_export.device.target import Target
from firmware_export.exporters import CLayer
from firmware_export.fast_kernel import candidates
from firmware_export.runners import host_c, tflm
from firmware_export.runners.cortex_m import CortexMRunner
from firmware_export.tflite_writer import to_tflite
from tests.ops.case_table import Case, build, write_c

M4, M0PLUS = CORES["cortex-m4"], CORES["cortex-m0plus"]


def layer_of(kernel: str, case: Case, core: Core = M4) -> CLayer | None:
    """The kernel's layer for a case, or None where the kernel is not for it."""
    graph = build([case])
    return candidates(graph.nodes[0], graph, core).get(kernel)


def taken(kernel: str, cases: Sequence[Case], core: Core = M4) -> list[Case]:
    """The cases that the kernel can compute."""
    return [case for case in cases if layer_of(kernel, case, core) is not None]


def every_kernel(graph: Graph, core: Core, most: int = 5) -> tuple[Graph, dict[str, CLayer]]:
    """Nodes of a graph, once for each fast kernel that computes them; and their layers.

    For each kernel the first nodes are taken, and the last, up to ``most`` in all. The inputs of
    the nodes become inputs of the graph.
    """
    found: dict[str, list[str]] = {}
    for node in graph.nodes:
        for stem in candidates(node, graph, core):
            found.setdefault(stem, []).append(node.output)
    kept = {stem: {*names[: most - 1], names[-1]} for stem, names in found.items()}
    tensors: dict[str, Tensor] = {}
    nodes: list[Node] = []
    layers: dict[str, CLayer] = {}
    for node in graph.nodes:
        (output, *_) = node.outputs
        for stem, layer in candidates(node, graph, core).items():
            if output not in kept[stem]:
                continue
            name = f"{output} by {stem}"
            tensors |= {n: replace(graph.tensors[n], name=n) for n in node.inputs if n}
            tensors[name] = replace(graph.tensors[output], name=name)
            nodes.append(replace(node, outputs=(name,)))
            layers[name] = layer
    inputs = dict.fromkeys(n for node in nodes for n in node.inputs if graph.is_activation(n))
    outputs = tuple(node.output for node in nodes)
    return Graph(graph.name, tuple(nodes), tensors, tuple(inputs), outputs), layers


def check_kernel(
    kernel: str,
    cases: Sequence[Case],
    directory: Path,
    *,
    core: Core = M4,
    samples: int = 3,
    feeds: Mapping[str, Array] | None = None,
) -> None:
    """The kernel's bytes are TensorFlow Lite Micro's for every case, on the host and the core.

    Cases that the kernel is not for are a failure: `taken` sorts them out. Without ``feeds``
    the inputs are random, with extremes.
    """
    graph = build(cases)
    chosen = {n.output: candidates(n, graph, core)[kernel] for n in graph.nodes}
    check_layers(graph, chosen, directory, core=core, samples=samples, feeds=feeds)


def check_layers(
    graph: Graph,
    chosen: Mapping[str, CLayer],
    directory: Path,
    *,
    core: Core = M4,
    samples: int = 3,
    feeds: Mapping[str, Array] | None = None,
) -> None:
    """The same of a graph with some fast layers; what is inside of them, C does not show."""
    invariants.check(graph)
    write_c(graph, directory, chosen)
    compilers = [name for name in COMPILERS if unavailable(name) is None]
    assert compilers
    runners: list[Runner] = [tflm.RUNNER, host_c.RUNNER]
    runners += [CortexMRunner(core, name) for name in compilers]
    artifact = Artifact(graph, to_tflite(graph), graph.name, directory)
    report = verify(artifact, runners, random_feeds(graph, samples, 0) if feeds is None else feeds)
    inside = sum(len(layer.inside) for layer in chosen.values())
    for result in report.runners:
        assert result.available, result.reason
        hidden = 0 if result.name == "tflm" else inside
        assert result.tensors == len(graph.activations()) - hidden, result.name
        assert result.mismatches == 0, (result.name, result.first_mismatch)
    assert report.passed
    for name in compilers:  # counting holds every access to what the network owns
        assert profile(artifact, Target(core), weight_bytes=0, compiler=name).total.cycles > 0
