"""From a float graph to an int8 graph in the best way that a recipe allows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from edgecnn.errors import UserError
from edgecnn.fixedpoint import dequantize, quantize
from edgecnn.ir import Array, Graph
from edgecnn.macs import total_macs
from edgecnn.one_thread import one_blas_thread
from edgecnn.quantization.auto_ranges import RangeChoice, choose_ranges
from edgecnn.quantization.equalize import channel_peaks, islands, rescaled, spread
from edgecnn.quantization.observers import Observation, observe
from edgecnn.quantization.output_error import judged, output_error
from edgecnn.quantization.quantize import quantize_by, quantize_graph, require_data, span
from edgecnn.quantization.ranges import RANGES
from edgecnn.quantization.repair import repair
from edgecnn.quantization.wide import Widened, widened
from edgecnn.simulator import run_float, run_in_parts, run_int

AUTO = "auto"
METHODS = (AUTO, *RANGES)
REPAIRS = ("equalize", "rounding", "bias")

#: How far ranges of activations are evened out, against the weights that read them. With more than
#: half, channels that seldom have large values saturate on other data.
ALPHAS = (0.0, 0.25, 0.5)
#: Equalization is tried where some tensor's noise could get this many times less.
WORTH_TRYING = 4.0
#: It is done where the error on samples apart gets this many times less.
WORTH_DOING = 1.1
#: Samples that it is tried on, and as many that it is judged on; so many at least.
TRIED, FEWEST = 128, 8
#: Multiply-accumulates that these trials may take.
WORK = 40_000_000_000


@dataclass(frozen=True)
class Recipe:
    """How a network is quantized.

    ``ranges`` is a name in `METHODS`; ``repairs`` are those of `REPAIRS` that may be done; ``wide``
    names the outputs of layers that are computed in 16 bits.
    """

    ranges: str = AUTO
    repairs: frozenset[str] = frozenset(REPAIRS)
    wide: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.ranges not in METHODS:
            raise UserError(
                f"the calibration method is '{self.ranges}'; it can be {', '.join(METHODS)}"
            )
        unknown = sorted(self.repairs - set(REPAIRS))
        if unknown:
            raise UserError(f"the repair '{unknown[0]}' is none of {', '.join(REPAIRS)}")

    @staticmethod
    def parse(ranges: str, repairs: str, wide: Iterable[str] = ()) -> Recipe:
        """A recipe from words: ``repairs`` is "all", "none", or names with commas between."""
        named = {"all": ",".join(REPAIRS), "none": ""}.get(repairs, repairs)
        words = frozenset(word.strip() for word in named.split(",") if word.strip())
        return Recipe(ranges, words, frozenset(wide))


@dataclass(frozen=True, eq=False)
class Quantized:
    """An int8 graph and what was decided on the way.

    ``reference`` is the float graph that it stands for, tensor by tensor: that which was given, or
    that with equalized channels, which computes the same. ``alpha`` is None where channels were
    not equalized; ``ranges`` has what was picked, where there was a choice.
    """

    graph: Graph
    reference: Graph
    recipe: Recipe
    alpha: float | None = None
    ranges: Mapping[str, RangeChoice] = field(default_factory=dict)

    def summary(self) -> str:
        """What was picked, in a line."""
        parts = []
        if self.ranges:
            picks = [f"{c.method} with a cut" if c.cut else c.method for c in self.ranges.values()]
            counts = {pick: picks.count(pick) for pick in dict.fromkeys(sorted(picks))}
            parts.append("ranges: " + ", ".join(f"{n} {pick}" for pick, n in counts.items()))
        else:
            parts.append(f"ranges: {self.recipe.ranges}")
        if self.alpha is not None:
            parts.append(f"channels equalized (alpha {self.alpha:g})")
        learned = {"rounding": "rounding learned", "bias": "biases corrected"}
        parts += [text for name, text in learned.items() if name in self.recipe.repairs]
        if self.recipe.wide:
            parts.append(f"in 16 bits: {', '.join(sorted(self.recipe.wide))}")
        return "; ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """What was asked for and what was picked."""
        return {
            "calibration_method": self.recipe.ranges,
            "repairs": [name for name in REPAIRS if name in self.recipe.repairs],
            "equalized_alpha": self.alpha,
            "wide": sorted(self.recipe.wide),
            "ranges": {
                name: {
                    "method": c.method,
                    "cut": c.cut,
                    "low": c.low,
                    "high": c.high,
                    "error": c.error,
                    "minmax_error": c.minmax_error,
                }
                for name, c in self.ranges.items()
            },
        }


def quantize_by_recipe(
    graph: Graph,
    feeds: Mapping[str, Array],
    recipe: Recipe,
    step: Callable[[str], None] = lambda text: None,
) -> Quantized:
    """Quantize a float graph with calibration data.

    ``feeds[input]`` is float32 of shape (samples, *shape) in the graph's layout. ``step`` is told
    what begins. Raises as `edgecnn.quantization.quantize.quantize_graph`.
    """
    require_data(graph, feeds)
    with one_blas_thread():  # else last digits, and with them weights, depend on the machine
        return _quantized(graph, feeds, recipe, step)


def _quantized(
    graph: Graph, feeds: Mapping[str, Array], recipe: Recipe, step: Callable[[str], None]
) -> Quantized:
    prepared = widened(graph, recipe.wide)
    step("observing ranges")
    histograms = recipe.ranges != "minmax"
    seen = observe(prepared.graph, feeds, histograms=histograms)
    alpha = None
    if "equalize" in recipe.repairs:
        step("equalizing channels")
        graph, alpha = _equalized(graph, feeds, recipe)
    if alpha is not None:
        prepared = widened(graph, recipe.wide)
        seen = observe(prepared.graph, feeds, histograms=histograms)
    int8, chosen = _with_ranges(prepared, feeds, seen, recipe.ranges, step)
    repaired = _repaired(prepared.graph, int8, feeds, recipe, step)
    return Quantized(repaired, prepared.graph, recipe, alpha, chosen)


def _with_ranges(
    prepared: Widened,
    feeds: Mapping[str, Array],
    seen: Mapping[str, Observation],
    method: str,
    step: Callable[[str], None],
) -> tuple[Graph, dict[str, RangeChoice]]:
    if method != AUTO:
        return quantize_by(prepared, seen, lambda shared: span(shared, seen, method)), {}
    chosen = choose_ranges(prepared.graph, feeds, seen, step, prepared.tensors)
    int8 = quantize_by(
        prepared,
        seen,
        lambda shared: (chosen[shared.activations[0]].low, chosen[shared.activations[0]].high),
    )
    return int8, chosen


def _repaired(
    graph: Graph,
    int8: Graph,
    feeds: Mapping[str, Array],
    recipe: Recipe,
    step: Callable[[str], None] = lambda text: None,
) -> Graph:
    rounding, bias = (name in recipe.repairs for name in ("rounding", "bias"))
    if not rounding and not bias:
        return int8
    return repair(graph, int8, feeds, rounding=rounding, bias=bias, step=step)


def _equalized(
    graph: Graph, feeds: Mapping[str, Array], recipe: Recipe
) -> tuple[Graph, float | None]:
    """The graph with equalized channels and how, where that is worth it; else as it is.

    What is tried is quantized with the even samples and judged on the odd ones, so that a channel
    which is made to fill its range by chance counts against it.
    """
    found = islands(graph)
    peaks = channel_peaks(graph, feeds)
    free = spread(graph, found, peaks)
    if free.gain(found.labels[name] for name in graph.activations()) < WORTH_TRYING:
        return graph, None
    # Each candidate is observed, repaired and judged: some three runs of both kinds.
    affordable = WORK // (6 * (len(ALPHAS) + 1) * max(1, total_macs(graph)))
    if affordable < FEWEST:
        return graph, None
    learned, apart = _halves(feeds, min(TRIED, affordable))
    wanted = run_in_parts(run_float, graph, apart, judged(graph))

    def error(candidate: Graph) -> float:
        int8 = _repaired(candidate, quantize_graph(candidate, learned, "minmax"), learned, recipe)
        return output_error(graph, wanted, _reals(int8, apart))

    candidates = {alpha: rescaled(graph, found, free.factors(alpha)) for alpha in ALPHAS}
    errors = {alpha: error(candidate) for alpha, candidate in candidates.items()}
    best = min(errors, key=lambda alpha: errors[alpha])
    if errors[best] * WORTH_DOING > error(graph):
        return graph, None
    return candidates[best], best


def _halves(feeds: Mapping[str, Array], most: int) -> tuple[dict[str, Array], dict[str, Array]]:
    """Even samples and odd ones, of each at most so many; a single one serves as both."""
    even = {name: array[::2][:most] for name, array in feeds.items()}
    odd = {name: array[1::2][:most] if len(array) > 1 else array for name, array in feeds.items()}
    return even, odd


def _reals(graph: Graph, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """What the judged tensors of an int8 graph stand for, on float samples."""
    tensors = graph.tensors
    codes = {
        name: quantize(feeds[name], tensors[name].scale, tensors[name].zero_point)
        for name in graph.inputs
    }
    values = run_in_parts(run_int, graph, codes, judged(graph))
    return {
        name: dequantize(values[name], tensors[name].scale, tensors[name].zero_point)
        for name in judged(graph)
    }
