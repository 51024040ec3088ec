"""Removal of channels with all that must hold of it, and what its tests build networks from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from edgecnn import verify
from edgecnn.ir import Array, Graph, Node
from edgecnn.parity import random_feeds
from edgecnn.passes.remove_channels import ChannelReport, Removal, remove_channels
from edgecnn.simulator import run_int
from edgecnn.support import problems

#: Larger than any sum of products here, in steps of an accumulator.
LARGE = 1 << 22
SAME: tuple[int, int, int, int] = (1, 1, 1, 1)


def weights(*shape: int, seed: int = 0) -> Array:
    """Weights of which none is 0."""
    rng = np.random.default_rng(seed)
    return rng.integers(1, 60, shape) * rng.choice([-1, 1], shape)


def without(data: Array, *channels: int) -> Array:
    """Weights that are 0 on some input channels (the last axis)."""
    data = data.copy()
    data[..., list(channels)] = 0
    return data


def removed(graph: Graph) -> Mapping[str, int]:
    """What `remove_channels` removes, after a check that the result is right."""
    return checked(graph).report_or_fail.removed


def constant(graph: Graph, node: Node, position: int) -> Array:
    """The data of a constant input."""
    data = graph.constant(node.inputs[position])
    assert data is not None
    return data


@dataclasses.dataclass(frozen=True, eq=False)
class Checked:
    """A removal whose result is right."""

    removal: Removal

    @property
    def graph(self) -> Graph:
        return self.removal.graph

    @property
    def report_or_fail(self) -> ChannelReport:
        assert self.removal.report is not None
        return self.removal.report


def checked(graph: Graph, samples: int = 20, seed: int = 0) -> Checked:
    """Remove, and compare every tensor of one name, on random and extreme inputs."""
    removal = remove_channels(graph)
    after = removal.graph
    verify.check(after)
    assert (after.inputs, after.outputs) == (graph.inputs, graph.outputs)
    assert problems(after) == problems(graph)
    feeds = random_feeds(graph, samples, seed)
    want, got = run_int(graph, feeds), run_int(after, feeds)
    shared = [name for name in got if name in want]
    assert {*graph.inputs, *graph.outputs} <= {*shared}
    for name in shared:
        np.testing.assert_array_equal(got[name], want[name], err_msg=name)
    return Checked(removal)
