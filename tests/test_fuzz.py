"""Random whole networks of all operators on all runners: what single operators cannot show.

Memory that is shared over time, views of inputs and outputs, tensors read late or often,
outputs that other layers read too, scales that operators hand on.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

import edgecnn
from edgecnn.errors import DataError, ModelFormatError, UnsupportedError
from edgecnn.frontends.tflite import load
from edgecnn.ir import Graph
from edgecnn.operators import Dialect, operator
from edgecnn.parity import random_feeds
from edgecnn.passes import pipeline
from edgecnn.simulator import run_int
from firmware_export.tflite_writer import to_tflite
from tests.network_builder import OPERATORS, Layer, as_float, makers, random_network, without
from tests.ops.case_table import OPTIONAL_RUNNERS, RUNNERS, run

seeds = st.integers(0, 2**32 - 1)
layers = st.builds(Layer, st.sampled_from(OPERATORS), seeds)
networks = st.builds(
    random_network, st.lists(layers, min_size=3, max_size=12), st.integers(1, 2), seeds
)


def settings(examples: int) -> hypothesis.settings:
    """The same networks each time."""
    return hypothesis.settings(
        max_examples=examples,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )


def incomparable(graph: Graph, dialect: Dialect) -> bool:
    """Whether a runtime of this dialect computes an operator of the network otherwise."""
    return any(operator(n.op).incomparable(n, graph, dialect) is not None for n in graph.nodes)


def check_network(graph: Graph, seed: int = 0) -> None:
    """Every tensor on every runner; and what is read back from the file computes the same."""
    feeds = random_feeds(graph, 4, seed)
    with tempfile.TemporaryDirectory() as directory:
        report = run(graph, Path(directory), feeds)
    assert report.passed, [(r.name, r.first_mismatch) for r in report.runners]
    excused = {r.name for r in RUNNERS if incomparable(graph, r.dialect)} | OPTIONAL_RUNNERS
    assert {r.name for r in report.runners if not r.available} <= excused
    again = load(to_tflite(graph), "net")
    expected, got = run_int(graph, feeds), run_int(again, feeds)
    for name, other in zip(graph.outputs, again.outputs, strict=True):
        np.testing.assert_array_equal(got[other], expected[name])


def quantized(graph: Graph, seed: int) -> Graph | None:
    """The float network of an int8 one, quantized anew; without what float networks lack."""
    real = as_float(graph)
    x = np.random.default_rng(seed)
    spread = float(x.choice([0.1, 1.0, 5.0]))
    try:
        simple = pipeline.run(real)
        calibration = {
            name: x.normal(0, spread, (6, *simple.tensors[name].shape)).astype(np.float32)
            for name in simple.inputs
        }
        return edgecnn.quantize(simple, calibration, ranges=str(x.choice(["mse", "minmax"])))
    except UnsupportedError as error:
        refused = {problem.tensor: problem.reason for problem in error.problems}
        smaller = without(graph, refused)
        return None if smaller is None else quantized(smaller, seed)
    except (DataError, ModelFormatError) as error:
        if "finite" not in str(error):
            raise
        return None


def test_every_operator_has_random_cases() -> None:
    assert {op for op in OPERATORS if not makers(op)} == set()


@settings(20)
@hypothesis.given(networks)
def test_int8_networks(graph: Graph) -> None:
    check_network(graph)


@settings(10)
@hypothesis.given(networks, seeds)
def test_quantized_networks(graph: Graph, seed: int) -> None:
    int8 = quantized(graph, seed)
    hypothesis.assume(int8 is not None)
    assert int8 is not None
    check_network(int8)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(300)
@hypothesis.given(networks)
def test_many_int8_networks(graph: Graph) -> None:
    check_network(graph)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@settings(200)
@hypothesis.given(networks, seeds)
def test_many_quantized_networks(graph: Graph, seed: int) -> None:
    int8 = quantized(graph, seed)
    hypothesis.assume(int8 is not None)
    assert int8 is not None
    check_network(int8)
