"""Runs the integer meaning of the operators with numpy."""

from __future__ import annotations

from collections.abc import Mapping

from edgecnn.ir import Array, Graph
from edgecnn.operators import Dialect
from edgecnn.parity import Artifact
from edgecnn.simulator import lower_all, run_int


class NumpySession:
    """A lowered graph."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._params = lower_all(graph)

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Compute samples; see `edgecnn.parity.Session`."""
        return run_int(self._graph, feeds, self._params)


class NumpyRunner:
    """The simulator."""

    name = "numpy"
    dialect = Dialect.TFLM

    def unavailable(self, artifact: Artifact) -> str | None:
        """Always available."""
        return None

    def open(self, artifact: Artifact) -> NumpySession:
        """Lower the graph."""
        return NumpySession(artifact.graph)


RUNNER = NumpyRunner()
