"""What a network needs before anything is generated: operators, MACs, RAM, flash, boards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgecnn.errors import UnsupportedError
from edgecnn.ir import Graph
from edgecnn.macs import total_macs
from edgecnn.quantization.quantize import quantize_graph
from edgecnn.support import require_supported
from firmware_export import boards
from firmware_export.c_writer import Provenance
from firmware_export.fit import Fit, board_fits
from firmware_export.preparation import Goal, prepare
from firmware_export.scratch import generated

_NAME = "network"


@dataclass(frozen=True)
class Analysis:
    """Sizes are bytes; ``parameters`` counts weights and biases."""

    macs: int
    parameters: int
    arena_bytes: int
    weight_bytes: int
    operators: Mapping[str, int]
    boards: Mapping[str, Fit]

    def to_json(self) -> dict[str, Any]:
        """The object that ``edgecnn analyze --json`` prints."""
        return {
            "macs": self.macs,
            "parameters": self.parameters,
            "arena_bytes": self.arena_bytes,
            "weight_bytes": self.weight_bytes,
            "operators": dict(self.operators),
            "unsupported": [],
            "boards": {name: fit.to_json() for name, fit in self.boards.items()},
        }


def only_problems(error: UnsupportedError) -> dict[str, Any]:
    """The object that ``analyze --json`` prints of a network that cannot be exported."""
    return {
        "macs": None,
        "parameters": None,
        "arena_bytes": None,
        "weight_bytes": None,
        "operators": dict(Counter(p.operator for p in error.problems)),
        "unsupported": [
            {
                "operator": p.operator,
                "tensor": p.tensor,
                "reason": p.reason,
                "substitute": p.substitute,
            }
            for p in error.problems
        ],
        "boards": {},
    }


def _as_int8(graph: Graph) -> Graph:
    """An int8 graph of the same sizes; a float one is calibrated on noise, which sizes ignore."""
    if graph.is_quantized:
        return graph
    rng = np.random.default_rng(0)
    feeds = {
        name: rng.random((1, *graph.tensors[name].shape), dtype=np.float32) for name in graph.inputs
    }
    return quantize_graph(graph, feeds, "minmax")


def analyze(
    graph: Graph, goal: Goal | None = None, step: Callable[[str], None] = lambda text: None
) -> Analysis:
    """Measure a graph after the passes, float or int8, as it would be exported for a goal.

    With a board only that one is looked at; else all known ones, by the kernels of the goal's core.
    A float graph is calibrated on noise: which of its channels turn out idle may differ from an
    export's. ``step`` is told what begins. Raises `UnsupportedError` with every operator that
    cannot be exported.
    """
    goal = goal or Goal()
    chosen = None if goal.board is None else [boards.load(goal.board)]
    require_supported(graph)
    int8 = _as_int8(graph).replace(name=_NAME)
    require_supported(int8)
    prepared = prepare(int8, goal, step)
    network = prepared.to_c(Provenance("", "", ""))
    core = prepared.target.core.name
    with generated(prepared.graph, chosen=prepared.chosen, stream=prepared.stream) as artifact:
        assert artifact.c_directory is not None
        fits = board_fits(artifact.c_directory, artifact.name, network, chosen, core=core)
    constants = {n: t for n, t in graph.tensors.items() if t.data is not None}
    used = {name for node in graph.nodes for name in node.inputs}
    return Analysis(
        macs=total_macs(graph),
        parameters=sum(tensor.size for name, tensor in constants.items() if name in used),
        arena_bytes=network.plan.arena_bytes,
        weight_bytes=network.weight_bytes,
        operators=dict(sorted(Counter(node.op for node in graph.nodes).items())),
        boards=fits,
    )
