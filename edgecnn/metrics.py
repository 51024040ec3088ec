"""Measures of how good a network is, from pieces that are counted one by one.

What is gathered of a piece is plain JSON. Totals are made from the pieces in their order, so that
they have the same digits however the pieces were computed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgecnn.ir import Array

Piece = dict[str, Any]
#: With more classes there is no confusion matrix: it would have millions of places. And from
#: fewer on it is left out of the JSON.
MATRIX_CLASSES = 1024
JSON_CLASSES = 256


# --- classes ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class ClassScores:
    """How the samples of each class were classified.

    ``confusion[label][named]`` counts the samples of one class that the network took for another.
    """

    confusion: tuple[tuple[int, ...], ...]

    @property
    def samples(self) -> int:
        """The number of samples."""
        return sum(map(sum, self.confusion))

    @property
    def accuracy(self) -> float:
        """The share of samples that are classified right."""
        return sum(row[i] for i, row in enumerate(self.confusion)) / self.samples

    @property
    def recall(self) -> tuple[float | None, ...]:
        """The share of each class that is found; None for a class without samples."""
        return tuple(_share(row[i], sum(row)) for i, row in enumerate(self.confusion))

    @property
    def precision(self) -> tuple[float | None, ...]:
        """The share of what is taken for each class that is of it; None where nothing is."""
        columns = list(zip(*self.confusion, strict=True))
        return tuple(_share(column[i], sum(column)) for i, column in enumerate(columns))

    def to_json(self) -> dict[str, Any]:
        """The object of one network in ``edgecnn evaluate --json``."""
        return {
            "accuracy": self.accuracy,
            "recall": list(self.recall),
            "precision": list(self.precision),
            "confusion": matrix_json(self.confusion),
        }


def matrix_json(matrix: Sequence[Sequence[int]]) -> list[list[int]] | None:
    """A confusion matrix, or None where it has too many classes."""
    return [list(row) for row in matrix] if len(matrix) <= JSON_CLASSES else None


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def count_classes(labels: Array, named: Array) -> list[list[int]]:
    """How many samples of each class were taken for each: rows of label, class named, count."""
    pairs, counts = np.unique(np.stack([labels, named], axis=1), axis=0, return_counts=True)
    return [[*map(int, pair), int(n)] for pair, n in zip(pairs, counts, strict=True)]


def right_answers(pieces: Iterable[list[list[int]]]) -> int:
    """The number of samples that were taken for what they are."""
    return sum(n for piece in pieces for label, named, n in piece if label == named)


def class_scores(pieces: Iterable[list[list[int]]], classes: int) -> ClassScores:
    """The total of what `count_classes` found."""
    confusion = np.zeros((classes, classes), np.int64)
    for piece in pieces:
        for label, named, count in piece:
            confusion[label, named] += count
    return ClassScores(tuple(tuple(map(int, row)) for row in confusion))


# --- real values ------------------------------------------------------------------------------


@dataclass(frozen=True)
class RegressionScores:
    """Errors of the values of an output, in its units; ``r2`` is None where targets are constant.

    ``r2`` is 1 less the share of the targets' variance, summed over the elements of the output,
    that the squared errors make up.
    """

    mean_absolute_error: float
    mean_squared_error: float
    r2: float | None

    def to_json(self) -> dict[str, Any]:
        """The object of one network in ``edgecnn evaluate --json``."""
        return dict(vars(self))


def sum_errors(targets: Array, values: Array) -> Piece:
    """Sums of the errors of values, (samples, elements), in double."""
    difference = targets.astype(np.float64) - values
    return {
        "values": difference.size,
        "absolute": float(np.abs(difference).sum()),
        "squared": float(np.square(difference).sum()),
    }


def spread(targets: Array) -> Piece:
    """The mean of each element of targets, (samples, elements), and their squared deviations."""
    exact = targets.astype(np.float64)
    mean = exact.mean(axis=0)
    return {
        "samples": len(exact),
        "mean": mean.tolist(),
        "deviations": float(np.square(exact - mean).sum()),
    }


def _deviations(spreads: Sequence[Piece]) -> float:
    """Squared deviations of all targets from the means of all (Chan's formula)."""
    samples, mean, total = 0, np.zeros(1), 0.0
    for piece in spreads:
        count, shift = piece["samples"], np.array(piece["mean"]) - mean
        together = samples + count
        total += piece["deviations"]
        total += float(np.square(shift).sum()) * samples * count / together if samples else 0.0
        mean = mean + shift * (count / together)
        samples = together
    return total


def regression_scores(errors: Sequence[Piece], spreads: Sequence[Piece]) -> RegressionScores:
    """The total of what `sum_errors` and `spread` found."""
    values = sum(piece["values"] for piece in errors)
    squared = math.fsum(piece["squared"] for piece in errors)
    absolute = math.fsum(piece["absolute"] for piece in errors)
    deviations = _deviations(spreads)
    r2 = 1.0 - squared / deviations if deviations > 0.0 else None
    return RegressionScores(absolute / values, squared / values, r2)


# --- anomalies --------------------------------------------------------------------------------


@dataclass(frozen=True)
class AnomalyScores:
    """How well the reconstruction error tells anomalies (1) from what is normal (0).

    ``roc_auc`` is the area under the ROC curve: the chance that an anomaly has the larger error.
    The errors are the mean squared ones of the samples of each kind.
    """

    roc_auc: float
    normal_error: float
    anomaly_error: float

    def to_json(self) -> dict[str, Any]:
        """The object of one network in ``edgecnn evaluate --json``."""
        return dict(vars(self))


def reconstruction_errors(targets: Array, values: Array) -> list[float]:
    """The mean squared error of each sample."""
    difference = targets.astype(np.float64) - values
    return [float(error) for error in np.square(difference).mean(axis=1)]


def anomaly_scores(labels: Sequence[int], errors: Sequence[float]) -> AnomalyScores:
    """Scores of all samples; there are some of both kinds."""
    from sklearn.metrics import roc_auc_score

    means = [
        math.fsum(kind) / len(kind)
        for wanted in (0, 1)
        if (kind := [e for e, label in zip(errors, labels, strict=True) if label == wanted])
    ]
    return AnomalyScores(float(roc_auc_score(labels, errors)), *means)
