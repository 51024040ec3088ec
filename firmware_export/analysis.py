"""What a network needs before anything is generated: operators, MACs, RAM, flash, boards."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgecnn.errors import UnsupportedError
from edgecnn.ir import Graph
from edgecnn.operators import operator
from edgecnn.quantization.quantize import quantize_graph
from edgecnn.support import require_supported
from firmware_export import boards
from firmware_export.c_writer import Provenance, in_best_order, to_c
from firmware_export.fit import Fit, board_fits
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


def total_macs(graph: Graph) -> int:
    """Multiply-accumulates of one inference."""
    return sum(
        operator(node.op).macs(
            node.attributes,
            [graph.tensors[n].shape if n else () for n in node.inputs],
            [graph.tensors[n].shape for n in node.outputs],
        )
        for node in graph.nodes
    )


def _as_int8(graph: Graph) -> Graph:
    """An int8 graph of the same sizes; a float one is calibrated on noise, which sizes ignore."""
    if graph.is_quantized:
        return graph
    rng = np.random.default_rng(0)
    feeds = {
        name: rng.random((1, *graph.tensors[name].shape), dtype=np.float32) for name in graph.inputs
    }
    return quantize_graph(graph, feeds, "minmax")


def analyze(graph: Graph, board: str | None = None) -> Analysis:
    """Measure a graph after the passes, float or int8.

    With ``board``, a name or a TOML file, only that board is looked at; else all known ones.
    Raises `UnsupportedError` with every operator that cannot be exported.
    """
    chosen = None if board is None else [boards.load(board)]
    require_supported(graph)
    int8 = _as_int8(graph)
    require_supported(int8)
    int8 = in_best_order(int8)
    network = to_c(int8, _NAME, Provenance("", "", ""))
    with generated(int8) as artifact:
        assert artifact.c_directory is not None
        fits = board_fits(artifact.c_directory, artifact.name, network, chosen)
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
