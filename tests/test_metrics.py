"""Scores from pieces, against scikit-learn on all samples at once."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn import metrics as sk

from edgecnn.ir import Array
from edgecnn.metrics import (
    anomaly_scores,
    class_scores,
    count_classes,
    reconstruction_errors,
    regression_scores,
    right_answers,
    spread,
    sum_errors,
)

RNG = np.random.default_rng(0)


def in_pieces(*arrays: Array) -> list[tuple[Array, ...]]:
    edges = [0, 70, 71, 200, 333]
    return [tuple(array[a:b] for array in arrays) for a, b in itertools.pairwise(edges)]


def test_classes() -> None:
    labels, named = RNG.integers(0, 4, 333), RNG.integers(0, 4, 333)
    pieces = [count_classes(*piece) for piece in in_pieces(labels, named)]
    scores = class_scores(pieces, 4)
    np.testing.assert_array_equal(scores.confusion, sk.confusion_matrix(labels, named))
    assert scores.samples == 333
    assert scores.accuracy == right_answers(pieces) / 333 == sk.accuracy_score(labels, named)
    assert scores.recall == tuple(sk.recall_score(labels, named, average=None))
    assert scores.precision == tuple(sk.precision_score(labels, named, average=None))


def test_classes_without_samples_have_no_share() -> None:
    scores = class_scores([count_classes(np.array([0, 0]), np.array([0, 2]))], 3)
    assert scores.recall == (0.5, None, None)
    assert scores.precision == (1.0, None, 0.0)


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_values(offset: float) -> None:
    targets = RNG.normal(offset, 3.0, (333, 5))
    values = targets + RNG.normal(0.1, 1.0, (333, 5))
    pieces = in_pieces(targets, values)
    scores = regression_scores([sum_errors(*p) for p in pieces], [spread(p[0]) for p in pieces])
    assert scores.mean_absolute_error == pytest.approx(sk.mean_absolute_error(targets, values))
    assert scores.mean_squared_error == pytest.approx(sk.mean_squared_error(targets, values))
    expected = sk.r2_score(targets, values, multioutput="variance_weighted")
    assert scores.r2 == pytest.approx(expected)


def test_constant_targets_have_no_r2() -> None:
    targets = np.ones((4, 2))
    assert regression_scores([sum_errors(targets, targets)], [spread(targets)]).r2 is None


def test_anomalies() -> None:
    targets, labels = RNG.normal(0, 1, (333, 6)), RNG.integers(0, 2, 333)
    values = targets + RNG.normal(0, 1, (333, 6)) * (1 + 0.3 * labels[:, None])
    errors = reconstruction_errors(targets, values)
    exact = np.square(targets - values).mean(axis=1)
    np.testing.assert_allclose(errors, exact)
    scores = anomaly_scores(labels.tolist(), errors)
    assert scores.roc_auc == pytest.approx(sk.roc_auc_score(labels, exact))
    assert scores.normal_error == pytest.approx(exact[labels == 0].mean())
    assert scores.anomaly_error == pytest.approx(exact[labels == 1].mean())


def test_large_matrices_are_left_out_of_the_json() -> None:
    for classes, there in ((256, True), (257, False)):
        every = np.arange(classes)
        found = class_scores([count_classes(every, every)], classes).to_json()
        assert found["recall"] == [1.0] * classes
        assert (found["confusion"] is not None) == there
