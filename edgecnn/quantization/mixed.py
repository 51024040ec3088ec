"""Finds few layers that, computed in 16 bits, take an int8 network to an accuracy.

The layers are put in the order of what each of them alone gains at the output of the network;
they are added in that order until the target is reached, and then each is tried without.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgecnn.checkpoint import Checkpoint, search_folder
from edgecnn.errors import DataError, UserError
from edgecnn.fingerprint import fingerprint
from edgecnn.fixedpoint import dequantize
from edgecnn.float_io import quantize_feeds
from edgecnn.ir import Array, Graph
from edgecnn.operators import operator
from edgecnn.parallel import Progress, Resume, Workers, compute
from edgecnn.quantization.error import sqnr_db
from edgecnn.quantization.recipe import Recipe, quantize_by_recipe
from edgecnn.simulator import chunks, lower_all, run_float, run_int

#: The int8 network with some layers, by the names of their outputs, in 16 bits.
Quantize = Callable[[frozenset[str]], Graph]

#: No others than this process.
ALONE = Workers(1)

#: What layers are put in order by: SQNR at the output, or the score.
ORDERS = ("sqnr", "score")


@dataclass(frozen=True, eq=False)
class ByRecipe:
    """Quantizes a float graph by a recipe, with the layers in 16 bits that are asked for."""

    graph: Graph
    feeds: Mapping[str, Array]
    recipe: Recipe

    def __call__(self, wide: frozenset[str]) -> Graph:
        """The int8 network with these layers, by their outputs, in 16 bits."""
        return quantize_by_recipe(self.graph, self.feeds, replace(self.recipe, wide=wide)).graph


class Remembered:
    """A score that is kept on disk, so that what an earlier run measured is not measured again.

    ``key`` is a hash of all that scores depend on but the network.
    """

    def __init__(
        self, score: Callable[[Graph], float], key: str, folder: Path | None = None
    ) -> None:
        self._score = score
        self._checkpoint = Checkpoint(search_folder(key, folder))
        self._known = self._checkpoint.load()
        self._is_kept = folder is not None

    def __call__(self, graph: Graph) -> float:
        """The score of a network."""
        index = int(fingerprint(graph)[:15], 16)
        if index not in self._known:
            self._known[index] = self._score(graph)
            self._checkpoint.add(index, self._known[index])
            self._checkpoint.write()
        return float(self._known[index])

    def close(self) -> None:
        """Forget what lies in the cache, now that all is done."""
        if not self._is_kept:
            self._checkpoint.remove()


@dataclass(frozen=True)
class Gain:
    """What a layer alone gains when it is wide: decibels of SQNR at the output, or of the score."""

    layer: str
    gain: float


@dataclass(frozen=True)
class Step:
    """A network that was tried: what it was made by, its wide layers, its score and its cost.

    ``change`` is the layer that was added to, or left out of, the best so far; "" at the start,
    where all is int8. ``cost`` is None where it was not asked.
    """

    change: str
    layers: tuple[str, ...]
    score: float
    cost: int | None


@dataclass(frozen=True)
class WideLayers:
    """The layers that were found, in execution order, and how.

    ``graph`` is the network with them; where ``is_reached`` is not set, all layers together do not
    reach the target, and the network is the best that was tried.
    """

    layers: tuple[str, ...]
    graph: Graph
    score: float
    is_reached: bool
    gains: tuple[Gain, ...]
    steps: tuple[Step, ...]


def candidates(graph: Graph) -> tuple[str, ...]:
    """The layers of a float graph that have a form in 16 bits, without views, by their outputs."""
    return tuple(
        node.output
        for node in graph.nodes
        if operator(node.op).has_wide_form and not operator(node.op).is_view
    )


def fewest_wide_layers(
    float_graph: Graph,
    feeds: Mapping[str, Array],
    quantize: Quantize,
    score: Callable[[Graph], float],
    target: float,
    *,
    cost: Callable[[Graph], int] | None = None,
    order: str = "sqnr",
    workers: Workers = ALONE,
    resume: Resume | None = None,
    progress: Progress = lambda done, total: None,
) -> WideLayers:
    """Search for the fewest wide layers with which ``score`` is ``target`` or more.

    ``feeds[input]`` is float32 of shape (samples, *shape) in the graph's layout: what ``order``
    "sqnr" measures the error at the output on. ``quantize(layers)`` gives the int8 network with
    these layers wide, ``score`` says how good one is (larger is better), and ``cost`` what it
    takes, such as the bytes of its arena. For L layers that can be wide, L + 1 networks are made
    to put them in order, on the given workers, and at most 2 L + 1 to search, one after the other.
    The result does not depend on the workers; it is no proof that fewer layers could not do. With
    ``resume`` the order is kept. Raises `DataError` without samples, `UserError` for an unknown
    order.
    """
    if order not in ORDERS:
        raise UserError(f"the order of layers is '{order}'; it can be {' or '.join(ORDERS)}")
    if not feeds or any(len(array) == 0 for array in feeds.values()):
        raise DataError("layers cannot be put in order without samples")
    measure = score if order == "score" else _OutputError(float_graph, feeds).sqnr
    names = candidates(float_graph)
    before, *after = compute(
        _Alone(names, quantize, measure), len(names) + 1, workers, resume, progress
    )
    alone = [Gain(name, _rise(before, found)) for name, found in zip(names, after, strict=True)]
    gains = tuple(sorted(alone, key=lambda gain: -gain.gain))  # of equals the earlier layer
    search = _Search(names, quantize, score, target, cost)
    search.add([gain.layer for gain in gains])
    search.drop([gain.layer for gain in reversed(gains)])
    graph, reached = search.best
    return WideLayers(search.layers, graph, reached, reached >= target, gains, tuple(search.steps))


@dataclass(frozen=True)
class _Alone:
    """Measures the int8 network (0), and it with each layer alone wide (1, 2, …)."""

    names: tuple[str, ...]
    quantize: Quantize
    measure: Callable[[Graph], float]

    def __call__(self, index: int) -> float:
        return self.measure(self.quantize(frozenset(self.names[index - 1 : index])))


def _rise(before: float, after: float) -> float:
    """What was gained; nothing where both are infinite."""
    return 0.0 if after == before else after - before


class _Search:
    """The best network so far, and the steps that led to it."""

    def __init__(
        self,
        names: tuple[str, ...],
        quantize: Quantize,
        score: Callable[[Graph], float],
        target: float,
        cost: Callable[[Graph], int] | None,
    ) -> None:
        self._names = names
        self._quantize, self._score, self._target, self._cost = quantize, score, target, cost
        self.steps: list[Step] = []
        self.layers: tuple[str, ...] = ()
        self.best = self._try("", frozenset())

    @property
    def _is_reached(self) -> bool:
        return self.best[1] >= self._target

    def add(self, order: list[str]) -> None:
        """Add layers until the target is reached; where it is not, the best of these stays."""
        for count, layer in enumerate(order, 1):
            if self._is_reached:
                return
            tried = self._try(layer, frozenset(order[:count]))
            if tried[1] > self.best[1]:
                self.best, self.layers = tried, self.steps[-1].layers

    def drop(self, order: list[str]) -> None:
        """Leave out each layer, in order, that the target does not need."""
        for layer in order:
            if self._is_reached and layer in self.layers:
                tried = self._try(layer, frozenset(self.layers) - {layer})
                if tried[1] >= self._target:
                    self.best, self.layers = tried, self.steps[-1].layers

    def _try(self, change: str, layers: frozenset[str]) -> tuple[Graph, float]:
        graph = self._quantize(layers)
        score = self._score(graph)
        cost = None if self._cost is None else self._cost(graph)
        in_order = tuple(name for name in self._names if name in layers)
        self.steps.append(Step(change, in_order, score, cost))
        return graph, score


class _OutputError:
    """SQNR of int8 networks at the outputs of a float one."""

    def __init__(self, graph: Graph, feeds: Mapping[str, Array]) -> None:
        self._feeds = feeds
        self._parts = list(chunks(len(next(iter(feeds.values()))), graph))
        self._reals = [self._outputs(graph, part) for part in self._parts]

    def _outputs(self, graph: Graph, part: slice) -> dict[str, Array]:
        values = run_float(graph, {n: self._feeds[n][part] for n in graph.inputs})
        return {name: values[name].astype(np.float64) for name in graph.outputs}

    def sqnr(self, graph: Graph) -> float:
        """The ratio in decibels, at the worst output of those that have a scale."""
        params, tensors = lower_all(graph), graph.tensors
        names = [name for name in graph.outputs if tensors[name].quant is not None]
        if not names:
            raise UserError("the outputs are indices, which have no error; order layers by 'score'")
        signal, noise = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
        for part, reals in zip(self._parts, self._reals, strict=True):
            sample = {name: self._feeds[name][part] for name in graph.inputs}
            values = run_int(graph, quantize_feeds(graph, sample), params)
            for name in names:
                got = dequantize(values[name], tensors[name].scale, tensors[name].zero_point)
                signal[name] += float(np.square(reals[name]).sum())
                noise[name] += float(np.square(reals[name] - got).sum())
        return min(sqnr_db(signal[name], noise[name]) for name in names)
