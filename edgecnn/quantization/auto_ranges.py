"""Chooses among the range methods, tensor by tensor, by the error at the network's outputs.

A candidate is tried by running the float network with that one tensor rounded to the steps of an
int8 tensor of the candidate's range; the candidate with the least `output_error` is taken. The sum
of such errors is that of all tensors together as far as rounding errors are independent.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np

from edgecnn.fixedpoint import dequantize, quantize
from edgecnn.ir import Array, Graph, QuantParams
from edgecnn.macs import total_macs
from edgecnn.quantization.observers import Observation
from edgecnn.quantization.output_error import (
    judged,
    output_error,
    softmax_floor,
    softmax_inputs,
)
from edgecnn.quantization.quantize import span
from edgecnn.quantization.ranges import RANGES, Range, affine
from edgecnn.quantization.sharing import SharedRange, Sharing
from edgecnn.simulator import Values, run_float, run_in_parts, run_node

#: Samples that candidates are tried on: as many as `WORK` allows, within these bounds.
FEWEST, MOST = 16, 128
#: Multiply-accumulates that all trials together may take: seconds. Where the fewest samples would
#: take more than ten times that, there are no trials.
WORK = 4_000_000_000
#: The method of networks that are too large for trials.
OF_LARGE_NETWORKS = "mse"
#: What a value of a tensor counts for, in multiply-accumulates of a trial.
VALUE = 8


@dataclass(frozen=True)
class RangeChoice:
    """The range of a tensor, and of those that share it: ``low`` to ``high``, in real units.

    ``method`` is a name in `RANGES`; ``cut`` says that the low end was raised to what the softmax
    that reads the tensor can tell from 0. ``error`` is the `output_error` with this tensor alone in
    int8, ``minmax_error`` that with its whole range; None where nothing was tried.
    """

    tensor: str
    method: str
    cut: bool
    low: float
    high: float
    error: float | None
    minmax_error: float | None


def choose_ranges(
    graph: Graph,
    feeds: Mapping[str, Array],
    seen: Mapping[str, Observation],
    step: Callable[[str], None] = lambda text: None,
    wide: Collection[str] = (),
) -> dict[str, RangeChoice]:
    """The best range of every set of tensors that share one, by the first of its activations.

    ``feeds[input]`` is float32 of shape (samples, *shape); ``seen`` are observations of them with
    histograms. Tensors in ``wide`` will be int16 and have no choice.
    """
    sets = [shared for shared in _sets(graph) if not set(wide).intersection(shared.activations)]
    count = len(next(iter(feeds.values())))
    work = _work(graph, len(sets))
    if min(count, FEWEST) * work > 10 * WORK:
        return {shared.activations[0]: _untried(shared, seen) for shared in sets}
    tried = min(count, max(FEWEST, min(MOST, WORK // max(1, work))))
    picked = np.linspace(0, count - 1, tried).astype(np.int64)
    trial = _Trial(graph, {name: array[np.unique(picked)] for name, array in feeds.items()})
    chosen = {}
    for number, shared in enumerate(sets, 1):
        step(f"choosing ranges: {number} of {len(sets)}")
        name = shared.activations[0]
        chosen[name] = _choose(graph, shared, seen, trial)
    return chosen


def _sets(graph: Graph) -> list[SharedRange]:
    """The sets whose range is open, in order of their first tensors."""
    sharing = Sharing(graph)
    sets = [sharing.ranged(name) for name in graph.activations() if sharing.has_range(name)]
    return [s for s in dict.fromkeys(sets) if s.fixed is None and s.activations]


def _work(graph: Graph, sets: int) -> int:
    """Multiply-accumulates that the trials of one sample take; each computes half of the graph."""
    values = sum(graph.tensors[name].size for name in graph.activations())
    return sets * len(RANGES) * (total_macs(graph) + VALUE * values) // 2


def _untried(shared: SharedRange, seen: Mapping[str, Observation]) -> RangeChoice:
    low, high = span(shared, seen, OF_LARGE_NETWORKS)
    return RangeChoice(shared.activations[0], OF_LARGE_NETWORKS, False, low, high, None, None)


class _Trial:
    """Float activations of some samples, and what becomes of the outputs when some are changed."""

    def __init__(self, graph: Graph, feeds: Mapping[str, Array]) -> None:
        self.graph = graph
        self.values = run_in_parts(run_float, graph, feeds)

    def error(self, shared: SharedRange, quant: QuantParams) -> float:
        """The output error with the tensors of a set in int8."""
        changed: Values = {}

        def read(name: str) -> Array:
            return changed.get(name, self.values[name])

        def round_to_steps(name: str) -> None:
            if name in shared.activations:
                codes = quantize(read(name), quant.scale[0], quant.zero_point[0])
                real = dequantize(codes, quant.scale[0], quant.zero_point[0])
                changed[name] = real.astype(np.float32)

        for name in self.graph.inputs:
            round_to_steps(name)
        for node in self.graph.nodes:
            inputs = self.graph.activation_inputs(node)
            if any(name in changed for name in inputs):
                known = {name: read(name) for name in inputs}
                changed.update(run_node(run_float, self.graph, node, known))
            for name in node.outputs:
                round_to_steps(name)
        got = {name: read(name) for name in judged(self.graph)}
        return output_error(self.graph, self.values, got)


def _choose(
    graph: Graph, shared: SharedRange, seen: Mapping[str, Observation], trial: _Trial
) -> RangeChoice:
    name = shared.activations[0]
    tried: dict[QuantParams, float] = {}
    best: RangeChoice | None = None
    whole = least = np.inf
    for method, cut, (low, high) in _candidates(graph, shared, seen, trial):
        quant = affine((low, high))
        error = tried.setdefault(quant, np.nan)
        if np.isnan(error):
            error = tried[quant] = trial.error(shared, quant)
        if method == "minmax" and not cut:
            whole = error
        if error < least:
            least = error
            best = RangeChoice(name, method, cut, low, high, error, whole)
    assert best is not None
    return best


def _candidates(
    graph: Graph, shared: SharedRange, seen: Mapping[str, Observation], trial: _Trial
) -> list[tuple[str, bool, Range]]:
    """Method, whether its low end is cut, and range; the whole range first."""
    found = [(method, False, span(shared, seen, method)) for method in RANGES]
    name = shared.activations[0]
    if shared.activations == [name] and name in softmax_inputs(graph):
        floor = softmax_floor(trial.values[name])
        found += [(m, True, (max(low, floor), high)) for m, _, (low, high) in found if high > floor]
    return found
