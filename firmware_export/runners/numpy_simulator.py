"""Runs the integer meaning of the operators with numpy."""

from __future__ import annotations

from collections.abc import Mapping

from edgecnn.float_io import dequantize_outputs, quantize_feeds
from edgecnn.ir import Array, Graph
from edgecnn.operators import Dialect
from edgecnn.parity import Artifact
from edgecnn.simulator import lower_all, run_int


class NumpySession:
    """A lowered graph, and the float ends around it if there are any."""

    def __init__(self, graph: Graph, *, float_io: bool = False) -> None:
        self._graph = graph
        self._params = lower_all(graph)
        self._float_io = float_io

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Compute samples; see `edgecnn.parity.Session`."""
        if not self._float_io:
            return run_int(self._graph, feeds, self._params)
        values = run_int(self._graph, quantize_feeds(self._graph, feeds), self._params)
        return values | dequantize_outputs(self._graph, values)


class NumpyRunner:
    """The simulator."""

    name = "numpy"
    dialect = Dialect.TFLM

    def unavailable(self, artifact: Artifact) -> str | None:
        """Always available."""
        return None

    def open(self, artifact: Artifact) -> NumpySession:
        """Lower the graph."""
        return NumpySession(artifact.graph, float_io=artifact.float_io)


RUNNER = NumpyRunner()
