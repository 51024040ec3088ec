"""Watches a float graph on calibration data: the range and distribution of every tensor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edgecnn.errors import DataError
from edgecnn.ir import MAX_SCALE, Array, Graph
from edgecnn.operators import operator
from edgecnn.simulator import Values, chunks, run_float

#: Bins of a histogram; wide tensors lose nothing that an 8-bit grid could show.
BINS = 2048


@dataclass
class Observation:
    """Smallest and largest value of a tensor, and how often values fell between.

    ``counts`` has `BINS` equal bins from ``low`` to ``high``, or is None where it was not asked.
    """

    low: float
    high: float
    counts: Array | None = None


def _watch(graph: Graph, feeds: Mapping[str, Array]) -> list[slice]:
    count = len(next(iter(feeds.values())))
    return list(chunks(count, graph))


def _run(graph: Graph, feeds: Mapping[str, Array], part: slice) -> Values:
    with np.errstate(over="ignore", invalid="ignore"):  # `observe` checks what comes out
        return run_float(graph, {name: array[part] for name, array in feeds.items()})


def internal_name(output: str, value: str) -> str:
    """The name under which a value inside of the node of some output is observed."""
    return f"{output}:{value}"


def _with_internal_values(graph: Graph, values: Values) -> Values:
    """The activations of samples, and the values inside of their operators."""
    found = dict(values)
    for node in graph.nodes:
        op = operator(node.op)
        for i in range(len(values[node.output])):
            inputs = [
                values[name][i] if name in values else graph.constant(name) for name in node.inputs
            ]
            inside = op.internal_values(node.attributes, inputs)
            if not inside:
                break
            for name, array in inside.items():
                key = internal_name(node.output, name)
                found[key] = np.concatenate([*([found[key]] if i else []), array.reshape(-1)])
    return found


def observe(
    graph: Graph, feeds: Mapping[str, Array], *, histograms: bool = False
) -> dict[str, Observation]:
    """Observe every activation of a float graph, and the `internal_values` of its operators.

    ``feeds[input]`` is float32 of shape (samples, *shape), in the graph's layout. Histograms
    take a second run. Raises `DataError` where a tensor is not finite on these data, or so
    large that no scale can hold it.
    """
    parts = _watch(graph, feeds)
    seen: dict[str, Observation] = {}
    for part in parts:
        for name, values in _with_internal_values(graph, _run(graph, feeds, part)).items():
            low, high = float(values.min()), float(values.max())
            if not (np.isfinite(low) and np.isfinite(high)):
                raise DataError(f"tensor '{name}' is not finite on the calibration data")
            if max(-low, high) > MAX_SCALE:
                raise DataError(f"tensor '{name}' is too large for int8 on the calibration data")
            known = seen.setdefault(name, Observation(low, high))
            known.low, known.high = min(known.low, low), max(known.high, high)
    if histograms:
        _add_histograms(graph, feeds, parts, seen)
    return seen


def _add_histograms(
    graph: Graph, feeds: Mapping[str, Array], parts: list[slice], seen: dict[str, Observation]
) -> None:
    for observation in seen.values():
        observation.counts = np.zeros(BINS, np.int64)
    for part in parts:
        for name, values in _run(graph, feeds, part).items():
            known = seen[name]
            if known.high > known.low:
                counts, _ = np.histogram(values, BINS, (known.low, known.high))
                known.counts = known.counts + counts
