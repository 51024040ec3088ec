"""Builds small graphs by hand, for what no front end gives."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgecnn import verify
from edgecnn.frontends.builder import GraphBuilder
from edgecnn.ir import Array, Attributes, Graph, Shape
from edgecnn.simulator import run_float


class Sketch:
    """A `GraphBuilder` with one input and random constants."""

    def __init__(self, *shape: int) -> None:
        self.builder = GraphBuilder("sketch")
        self.rng = np.random.default_rng(0)
        self.x = self.builder.add_input("x", shape)

    def random(self, name: str, *shape: int) -> str:
        return self.builder.constant(self.rng.normal(0, 1, shape).astype(np.float32), name)

    def positive(self, name: str, *shape: int) -> str:
        return self.builder.constant(self.rng.uniform(0.5, 2, shape).astype(np.float32), name)

    def emit(
        self,
        op: str,
        inputs: Sequence[str | None],
        attributes: Attributes | None = None,
        name: str = "",
    ) -> str:
        return self.builder.emit(op, list(inputs), attributes, name=name or op)

    def batch_norm(self, x: str, name: str = "norm") -> str:
        from edgecnn.ops.batch_norm import BatchNormAttributes

        depth = self.builder.shape(x)[-1]
        vectors = [self.random(f"{name}.{part}", depth) for part in ("weight", "bias", "mean")]
        variance = self.positive(f"{name}.variance", depth)
        return self.emit("batch_norm", [x, *vectors, variance], BatchNormAttributes(), name)

    def graph(self, *outputs: str) -> Graph:
        self.builder.outputs.extend(outputs)
        graph = self.builder.finish()
        verify.check(graph)
        return graph


def users_outputs(graph: Graph, seed: int = 5) -> list[Array]:
    """Outputs of two random samples, fed and given in the user's layout."""
    rng = np.random.default_rng(seed)
    feeds = {}
    for name in graph.inputs:
        inner = graph.tensors[name].shape
        order = graph.input_permutations.get(name, tuple(range(len(inner))))
        outer: Shape = tuple(inner[order.index(axis)] for axis in range(len(order)))
        users = rng.normal(0, 2, (2, *outer)).astype(np.float32)
        feeds[name] = users.transpose(0, *(axis + 1 for axis in order))
    values = run_float(graph, feeds)
    results = []
    for name in graph.outputs:
        rank = len(graph.tensors[name].shape)
        order = graph.output_permutations.get(name, tuple(range(rank)))
        results.append(values[name].transpose(0, *(axis + 1 for axis in order)))
    return results


def assert_same(before: Graph, after: Graph, tolerance: float = 0.0) -> None:
    """Both graphs are sound and compute the same."""
    verify.check(after)
    for want, got in zip(users_outputs(before), users_outputs(after), strict=True):
        assert want.shape == got.shape
        np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * np.abs(want).max())


def with_tensor(graph: Graph, key: str, **changes: Any) -> Graph:
    """The graph with one tensor altered."""
    tensor = dataclasses.replace(graph.tensors[key], **changes)
    return graph.replace(tensors={**graph.tensors, key: tensor})
