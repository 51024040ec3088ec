"""Accuracy and agreement, counted on a network that passes its input through."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from edgecnn.errors import DataError
from edgecnn.evaluate import Accuracy, evaluate
from edgecnn.ir import INT8, Array, Graph, Node, QuantParams, Tensor
from edgecnn.metrics import ClassScores
from edgecnn.simulator import run_int


def float_graph() -> Graph:
    tensors = {name: Tensor(name, (1, 3)) for name in ("x", "y")}
    return Graph("net", (Node("relu", ("x",), ("y",)),), tensors, ("x",), ("y",))


def int8_graph(scale: float = 0.1, zero_point: int = -10) -> Graph:
    graph = float_graph()
    quant = QuantParams.per_tensor(scale, zero_point)
    return graph.replace(tensors={n: Tensor(n, (1, 3), INT8, None, quant) for n in ("x", "y")})


INT8_GRAPH = int8_graph()


def run(values: Mapping[str, Array]) -> dict[str, Array]:
    assert values["x"].dtype == np.int8
    return run_int(INT8_GRAPH, values)


def one_hot(classes: list[int]) -> Array:
    return np.eye(3, dtype=np.float32)[classes].reshape(-1, 1, 3)


def shares(accuracy: Accuracy) -> tuple[int, float | None, float, float | None]:
    found = accuracy
    return found.samples, found.float_accuracy, found.int8_accuracy, found.agreement


def test_counts_right_answers() -> None:
    x = {"x": one_hot([0, 1, 2, 2])}
    accuracy = evaluate(INT8_GRAPH, run, x, np.array([0, 1, 2, 0]), float_graph())
    assert shares(accuracy) == (4, 0.75, 0.75, 1.0)
    assert accuracy.int8_classes == accuracy.float_classes
    assert accuracy.int8_classes == ClassScores(((1, 0, 1), (0, 1, 0), (0, 0, 1)))


def test_agreement_is_of_classes_not_of_right_answers() -> None:
    # 1.04 and 1.0 are one int8 value, and the first of equals wins: float says 1, int8 says 0.
    x = {"x": np.array([[[1.0, 1.04, 0.0]], [[0.0, 0.0, 2.0]]], np.float32)}
    accuracy = evaluate(INT8_GRAPH, run, x, np.array([0, 0]), float_graph())
    assert shares(accuracy) == (2, 0.0, 0.5, 0.5)


def test_int8_samples_reach_both_networks() -> None:
    reals = one_hot([2, 0, 1])
    codes = np.round(reals / 0.1 - 10).astype(np.int8)
    labels = np.array([2, 0, 2])
    from_codes = evaluate(INT8_GRAPH, run, {"x": codes}, labels, float_graph())
    assert from_codes == evaluate(INT8_GRAPH, run, {"x": reals}, labels, float_graph())
    assert from_codes.float_accuracy == pytest.approx(2 / 3)


def test_without_a_float_network_only_int8_is_known() -> None:
    accuracy = evaluate(INT8_GRAPH, run, {"x": one_hot([1])}, np.array([1]))
    assert accuracy.to_json() == {
        "task": "classification",
        "samples": 1,
        "float": None,
        "int8": {
            "accuracy": 1.0,
            "recall": [None, 1.0, None],
            "precision": [None, 1.0, None],
            "confusion": [[0, 0, 0], [0, 1, 0], [0, 0, 0]],
        },
        "agreement": None,
    }


def test_json_holds_all_figures() -> None:
    assert Accuracy(10, 0.9, 0.8, 0.7).to_json() == {
        "task": "classification",
        "samples": 10,
        "float": {"accuracy": 0.9},
        "int8": {"accuracy": 0.8},
        "agreement": 0.7,
    }


def test_samples_beyond_one_chunk_are_all_counted() -> None:
    classes = np.random.default_rng(0).integers(0, 3, 500)
    labels = np.where(np.arange(500) % 5 == 0, (classes + 1) % 3, classes)
    accuracy = evaluate(INT8_GRAPH, run, {"x": one_hot(classes.tolist())}, labels, float_graph())
    assert shares(accuracy) == (500, 0.8, 0.8, 1.0)


@pytest.mark.parametrize(
    ("samples", "labels", "message"),
    [
        (0, [], "no sample"),
        (2, [0], "2 samples, but 1 labels"),
        (2, [0, 3], "label 3 is out of range: output 'y' has 3 classes"),
        (2, [-1, 0], "label -1 is out of range"),
    ],
)
def test_unusable_labels_are_refused(samples: int, labels: list[int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        evaluate(INT8_GRAPH, run, {"x": one_hot([0] * samples)}, np.array(labels, np.int64))
