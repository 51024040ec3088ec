"""Whole recipes: what is picked, that it is worth it, and networks that are made hard."""

from __future__ import annotations

import json

import numpy as np
import pytest

from edgecnn.errors import DataError, UserError
from edgecnn.ir import Attributes, Graph
from edgecnn.ops.argmax import ArgmaxAttributes
from edgecnn.ops.fully_connected import FullyConnectedAttributes
from edgecnn.ops.softmax import SoftmaxAttributes
from edgecnn.quantization.auto_ranges import choose_ranges
from edgecnn.quantization.observers import observe
from edgecnn.quantization.output_error import REACH, judged, output_error
from edgecnn.quantization.ranges import RANGES
from edgecnn.quantization.recipe import AUTO, REPAIRS, Recipe, quantize_by_recipe
from edgecnn.simulator import run_float
from edgecnn.support import require_supported
from tests.quantization.networks import network, rescaled_chain
from tests.quantization.test_repair import deep, noise, samples


def drawn() -> np.random.Generator:
    """The same numbers for each test, whatever ran before."""
    return np.random.default_rng(0)


def classifier(last: str = "softmax") -> Graph:
    ends = {
        "softmax": ("softmax", ("t0",), SoftmaxAttributes()),
        "argmax": ("argmax", ("t0",), ArgmaxAttributes(1)),
    }
    layers = [("fully_connected", ("x", "w", ""), FullyConnectedAttributes()), ends[last]]
    return network(layers, {"w": drawn().normal(0, 3, (6, 12))}, (1, 12))  # type: ignore[arg-type]


def test_words() -> None:
    assert Recipe.parse("mse", "all") == Recipe("mse", frozenset(REPAIRS))
    assert Recipe.parse("auto", "none").repairs == frozenset()
    assert Recipe.parse("auto", "bias, rounding").repairs == {"bias", "rounding"}
    with pytest.raises(UserError, match="'kl'; it can be auto, minmax"):
        Recipe.parse("kl", "all")
    with pytest.raises(UserError, match="'weights' is none of equalize"):
        Recipe.parse("auto", "bias,weights")


def test_the_error_is_measured_before_a_decision() -> None:
    assert judged(classifier("softmax")) == ("t0",)
    assert judged(classifier("argmax")) == ("t0",)
    assert judged(deep()) == ("t4",)


def test_what_softmax_cannot_tell_from_zero_is_no_error() -> None:
    graph = classifier()
    wanted = {"t0": np.array([[[5.0, 4.0, 5.0 - 2 * REACH, -40.0, 1.0, 0.0]]])}
    far = wanted["t0"].copy()
    far[..., 2:4] += 3
    assert output_error(graph, wanted, {"t0": far}) == 0
    near = wanted["t0"].copy()
    near[..., 1] += 0.5
    assert output_error(graph, wanted, {"t0": near}) > 0


def test_auto_is_at_least_as_good_as_each_method_for_each_tensor() -> None:
    graph = deep()
    feeds = samples(30, 0)
    seen = observe(graph, feeds, histograms=True)
    chosen = choose_ranges(graph, feeds, seen)
    assert list(chosen) == ["x", "t0", "t1", "t2", "t4"]
    for choice in chosen.values():
        assert choice.method in RANGES
        assert 0 < choice.error <= choice.minmax_error


def test_the_range_before_softmax_is_cut_where_it_does_not_matter() -> None:
    graph = classifier()
    feeds = {"x": drawn().normal(size=(200, 1, 12)).astype(np.float32)}
    result = quantize_by_recipe(graph, feeds, Recipe(AUTO))
    choice = result.ranges["t0"]
    values = run_float(graph, feeds)["t0"]
    assert choice.cut
    assert values.min() < choice.low
    assert choice.low == pytest.approx(values.max(axis=-1).min() - REACH)
    assert "with a cut" in result.summary()


def test_what_was_picked_is_said() -> None:
    graph = deep()
    result = quantize_by_recipe(graph, samples(30, 0), Recipe(AUTO))
    told = json.loads(json.dumps(result.to_json()))
    assert told["calibration_method"] == "auto"
    assert told["repairs"] == list(REPAIRS)
    assert told["ranges"].keys() == {"x", "t0", "t1", "t2", "t4"}
    assert result.reference is graph
    assert told["equalized_alpha"] is None
    assert "rounding learned" in result.summary()
    plain = quantize_by_recipe(graph, samples(30, 0), Recipe.parse("mse", "none"))
    assert plain.summary() == "ranges: mse"


@pytest.mark.parametrize("method", ["minmax", "percentile", "mse", AUTO])
def test_rescaled_channels_cost_nothing_once_repaired(method: str) -> None:
    graph = deep(groups=1)
    hard = rescaled_chain(graph, 1000.0)
    learned, apart = samples(200, 0), samples(200, 1)
    np.testing.assert_allclose(
        run_float(hard, apart)["t4"], run_float(graph, apart)["t4"], rtol=1e-3, atol=1e-3
    )

    def error(given: Graph, repairs: str) -> float:
        made = quantize_by_recipe(given, learned, Recipe.parse(method, repairs))
        return float(np.square(noise(graph, made.graph, apart, "t4")).mean())

    assert error(hard, "none") > 10 * error(graph, "none")
    assert error(hard, "all") < 2 * error(graph, "none")


def test_a_network_with_even_channels_is_left_as_it_is() -> None:
    graph = deep()
    assert quantize_by_recipe(graph, samples(200, 0), Recipe(AUTO)).alpha is None


def test_one_sample_and_constant_samples_will_do() -> None:
    for feeds in (samples(1, 0), {"x": np.zeros((5, 1, 8, 8, 3), np.float32)}):
        made = quantize_by_recipe(rescaled_chain(deep(groups=1), 100.0), feeds, Recipe(AUTO))
        assert made.graph.is_quantized


def test_steps_are_told() -> None:
    told: list[str] = []
    quantize_by_recipe(deep(), samples(20, 0), Recipe(AUTO), told.append)
    for word in ("equalizing", "observing", "choosing ranges: 5 of 5", "repairing t4"):
        assert any(word in text for text in told)


def test_refusals() -> None:
    with pytest.raises(DataError, match="no sample"):
        quantize_by_recipe(deep(), samples(0, 0), Recipe(AUTO))
    broken = samples(3, 0)
    broken["x"][1] = np.float32(3e38)
    with pytest.raises(DataError, match=r"too large|not finite"):
        quantize_by_recipe(deep(), broken, Recipe(AUTO))


def test_operators_without_columns_are_passed_over() -> None:
    graph = network([("tanh", ("x",), Attributes())], {}, (1, 4))
    feeds = {"x": drawn().normal(size=(10, 1, 4)).astype(np.float32)}
    assert quantize_by_recipe(graph, feeds, Recipe(AUTO)).graph.is_quantized


def test_wide_layers_are_repaired_too() -> None:
    graph = deep(biases=False, groups=1)
    learned, apart = samples(200, 0), samples(200, 1)

    def error(recipe: Recipe) -> float:
        made = quantize_by_recipe(graph, learned, recipe).graph
        require_supported(made)
        return float(np.square(noise(graph, made, apart, "t4")).mean())

    every = ["t0", "t1", "t2", "t4"]
    assert error(Recipe.parse("minmax", "none", every)) < error(Recipe.parse("minmax", "none"))
    assert error(Recipe.parse(AUTO, "all", every)) < error(Recipe.parse("minmax", "none", every))
