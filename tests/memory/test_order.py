"""The order of least memory: the best of all, by trying them; the given one where it is as good."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import torch
from torch import nn

import edgecnn
from edgecnn import verify
from edgecnn.console import Console
from edgecnn.display import show_export
from edgecnn.ir import Graph, Node, QuantParams, Tensor
from edgecnn.operators import Attributes
from edgecnn.ops.add import AddAttributes
from edgecnn.ops.reshape import ReshapeAttributes
from edgecnn.zoo.tasks import TASKS
from firmware_export.analysis import analyze
from firmware_export.c_writer import Provenance, in_best_order, portable_calls, to_c
from firmware_export.exporters import CLayer, Distance
from firmware_export.memory.lifetimes import problem
from firmware_export.memory.order import least_peak_order, live_peak
from firmware_export.memory.planner import plan, quick
from tests.memory.networks import as_int8, reference_network

#: Calls by the first output of their nodes.
Calls = Mapping[str, CLayer]


def random_graph(seed: int, layers: int = 7) -> Graph:
    """A network of layers with one or two inputs, two outputs, and views."""
    rng = random.Random(seed)
    sizes = {f"x{i}": rng.randint(1, 60) for i in range(rng.randint(1, 2))}
    inputs, nodes = tuple(sizes), []
    for i in range(layers):
        a, b = rng.choice(list(sizes)[-4:]), rng.choice(list(sizes))
        name, size = f"n{i}", rng.randint(1, 60)
        kind = rng.choice(("relu", "add", "reshape", "split"))
        if kind == "reshape":
            size = sizes[a]
            nodes.append(Node(kind, (a,), (name,), ReshapeAttributes((1, size))))
        elif kind == "add":
            nodes.append(Node(kind, (a, b), (name,), AddAttributes()))
        elif kind == "split":
            sizes[f"{name}'"] = rng.randint(1, 40)
            nodes.append(Node(kind, (a,), (name, f"{name}'"), Attributes()))
        else:
            nodes.append(Node(kind, (a,), (name,), Attributes()))
        sizes[name] = size
    read = {name for node in nodes for name in node.inputs}
    ends = tuple(name for name in sizes if name not in read and rng.random() < 0.7)
    quant = QuantParams.per_tensor(0.1, 0)
    tensors = {n: Tensor(n, (1, size), "int8", None, quant) for n, size in sizes.items()}
    return Graph("net", tuple(nodes), tensors, inputs, ends or (name,))


def random_calls(graph: Graph, seed: int) -> Calls:
    """Some with scratch, some that may write over an input."""
    rng = random.Random(seed)
    return {
        node.output: CLayer(
            node.op,
            {},
            scratch_bytes=rng.choice((0, 0, rng.randint(1, 40))),
            overlaps={
                position: Distance(rng.choice((0, -4, 8, 20)), rng.random() < 0.3)
                for position in range(len(node.inputs))
                if rng.random() < 0.5
            },
        )
        for node in graph.nodes
        if node.op != "reshape"
    }


def by_step(graph: Graph, calls: Calls) -> dict[int, CLayer]:
    found = enumerate(node.output for node in graph.nodes)
    return {step: calls[name] for step, name in found if name in calls}


def in_use(graph: Graph, calls: Calls) -> int:
    """What the planner says that no plan undercuts, as it goes by lifetimes."""
    return quick(problem(graph, by_step(graph, calls))).lower_bound


def orders(nodes: Sequence[Node], known: frozenset[str]) -> Iterator[tuple[Node, ...]]:
    """All of them."""
    if not nodes:
        yield ()
    for i, node in enumerate(nodes):
        if known.issuperset(node.inputs):
            others = (*nodes[:i], *nodes[i + 1 :])
            for rest in orders(others, known.union(node.outputs)):
                yield (node, *rest)


@pytest.mark.parametrize("has_calls", [False, True])
@pytest.mark.parametrize("seed", range(60))
def test_the_best_of_all_orders(seed: int, has_calls: bool) -> None:
    graph = random_graph(seed)
    calls = random_calls(graph, seed) if has_calls else {}
    assert live_peak(graph, by_step(graph, calls)) == in_use(graph, calls)
    found = least_peak_order(graph, by_step(graph, calls))
    every = itertools.islice(orders(graph.nodes, frozenset(graph.inputs)), 1500)
    least = min(in_use(graph.replace(nodes=nodes), calls) for nodes in every)
    assert in_use(found, calls) <= least
    assert sorted(n.output for n in found.nodes) == sorted(n.output for n in graph.nodes)
    # the given one itself, unless there is a better one
    assert (found is graph) == (in_use(found, calls) == in_use(graph, calls))
    assert least_peak_order(found, by_step(found, calls)) is found


@pytest.mark.parametrize("seed", range(20))
def test_a_limit_on_states_gives_a_good_order(seed: int) -> None:
    graph = random_graph(seed, 40)
    best, hasty = least_peak_order(graph), least_peak_order(graph, states=3)
    assert live_peak(best) <= live_peak(hasty) <= live_peak(graph)
    assert hasty is graph or live_peak(hasty) < live_peak(graph)


def test_most_random_orders_are_not_the_best() -> None:
    graphs = [random_graph(seed, 20) for seed in range(20)]
    assert sum(least_peak_order(graph) is not graph for graph in graphs) > 10
    hasty = [least_peak_order(graph, states=3) is not graph for graph in graphs]
    assert sum(hasty) > 10


def test_a_long_chain_is_given_back() -> None:
    quant = QuantParams.per_tensor(0.1, 0)
    tensors = {f"t{i}": Tensor(f"t{i}", (1, 9), "int8", None, quant) for i in range(2001)}
    nodes = tuple(Node("relu", (f"t{i}",), (f"t{i + 1}",)) for i in range(2000))
    graph = Graph("chain", nodes, tensors, ("t0",), ("t2000",))
    assert least_peak_order(graph) is graph


# --- networks ----------------------------------------------------------------------------------


class Fan(nn.Module):
    """Computes all its wide branches before it narrows any of them."""

    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.ModuleList(nn.Conv2d(2, 16, 3, padding=1) for _ in range(4))
        self.narrow = nn.ModuleList(nn.Conv2d(16, 2, 3, stride=2) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = [layer(x).relu() for layer in self.wide]
        return torch.cat([layer(part) for layer, part in zip(self.narrow, wide, strict=True)], 1)


@pytest.fixture(scope="module")
def fan() -> Graph:
    torch.manual_seed(0)
    return as_int8(edgecnn.load(Fan().eval(), torch.zeros(1, 2, 12, 12)))


def test_an_export_is_in_the_best_order(
    fan: Graph, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = to_c(fan, "net", Provenance("", "", "")).plan
    result = edgecnn.export(fan, tmp_path / "out", name="net", samples=2)
    assert result.parity.passed
    verify.check(result.graph)
    assert result.memory.arena_bytes < 0.5 * given.arena_bytes
    assert [node.op for node in result.graph.nodes[:4]] == ["conv2d"] * 4
    written = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert [t["name"] for t in written["tensors"]] == result.graph.activations()
    assert [x["output"] for x in written["layers"]] == [n.output for n in result.graph.nodes]
    stored = edgecnn.load(tmp_path / "out" / "net.tflite")
    assert [n.op for n in stored.nodes] == [n.op for n in result.graph.nodes]
    assert in_best_order(stored) is stored
    show_export(Console(as_json=False, quiet=False), result)
    assert "arena (RAM), optimal: proved" in capsys.readouterr().out


def test_an_analysis_is_of_the_best_order(fan: Graph, tmp_path: Path) -> None:
    assert in_best_order(fan) is not fan
    exported = edgecnn.export(fan, tmp_path / "out", name="net", runners="numpy", samples=0)
    assert analyze(fan).arena_bytes == exported.memory.arena_bytes


@pytest.mark.slow
@pytest.mark.parametrize("task", sorted(TASKS))
def test_reference_networks(task: str) -> None:
    graph = reference_network(task)
    best = in_best_order(graph)
    verify.check(best)
    given, least = (plan(problem(g, portable_calls(g))).arena_bytes for g in (graph, best))
    print(f"{task}: {given} to {least} bytes")
    assert least <= given
