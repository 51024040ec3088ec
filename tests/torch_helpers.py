"""Compares a graph with the torch module that it was made from."""

from __future__ import annotations

from collections import Counter

import numpy as np
import torch
from torch import Tensor, nn

from edgecnn.frontends.torch_export import load_module
from edgecnn.ir import Array, Graph
from edgecnn.passes import pipeline
from edgecnn.simulator import run_float

torch.set_num_threads(1)


def randomize(module: nn.Module, seed: int = 0) -> nn.Module:
    """Give a module weights and running statistics that hide no mistake; eval mode."""
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if not tensor.is_floating_point():
                continue
            values = rng.normal(0, 0.5, tuple(tensor.shape))
            if "running_var" in name:
                values = np.abs(values) + 0.3
            tensor.copy_(torch.from_numpy(np.asarray(values)))
    return module.eval()


def random_inputs(shapes: list[tuple[int, ...]], seed: int = 1) -> tuple[Tensor, ...]:
    rng = np.random.default_rng(seed)
    return tuple(torch.from_numpy(rng.normal(0, 2, s).astype(np.float32)) for s in shapes)


def to_graph(value: Array, permutation: tuple[int, ...] | None) -> Array:
    return value if permutation is None else value.transpose(permutation)


def run_graph(graph: Graph, inputs: tuple[Tensor, ...]) -> list[Array]:
    """Feed arrays as the user has them (the batch in front); outputs as the user wants them."""
    feeds = {
        name: to_graph(x.numpy(), graph.input_permutations.get(name))[:, None]
        for name, x in zip(graph.inputs, inputs, strict=True)
    }
    values = run_float(graph, feeds)
    return [
        np.concatenate([to_graph(one, graph.output_permutations.get(name)) for one in values[name]])
        for name in graph.outputs
    ]


def assert_equal_to_torch(graph: Graph, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    """Outputs differ from torch's own by at most 1e-4 of their range."""
    with torch.no_grad():
        wanted = module(*(x.clone() for x in inputs))
    wanted = [wanted] if isinstance(wanted, Tensor) else list(wanted)
    got = run_graph(graph, inputs)
    assert len(got) == len(wanted)
    for have, want in zip(got, wanted, strict=True):
        expected = want.numpy()
        assert have.shape == expected.shape
        assert np.ptp(expected) > 0 or expected.size == 1
        np.testing.assert_allclose(have, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def imported(module: nn.Module, *shapes: tuple[int, ...]) -> tuple[Graph, tuple[Tensor, ...]]:
    """The graph of a module before any pass, and inputs for it, one sample."""
    inputs = random_inputs(list(shapes))
    return load_module(module, inputs, "net"), inputs


def check_module(module: nn.Module, *shapes: tuple[int, ...]) -> Graph:
    """Import, compare, run the passes, compare again; return the graph after the passes."""
    randomize(module)
    graph, inputs = imported(module, *shapes)
    assert_equal_to_torch(graph, module, inputs)
    graph = pipeline.run(graph)
    assert_equal_to_torch(graph, module, inputs)
    again = pipeline.run(graph)
    assert [(n.op, n.attributes) for n in again.nodes] == [
        (n.op, n.attributes) for n in graph.nodes
    ]
    return graph


def counts(graph: Graph) -> Counter[str]:
    """How many nodes of each operator a graph has."""
    return Counter(node.op for node in graph.nodes)
