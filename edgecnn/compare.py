"""Two networks on the same labelled samples: what each gets right, and whether that is chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgecnn.errors import UserError
from edgecnn.evaluate import Side, class_count, class_labels, classes, pieces_of, with_same_digits
from edgecnn.fingerprint import fingerprint
from edgecnn.metrics import (
    MATRIX_CLASSES,
    ClassScores,
    Piece,
    class_scores,
    count_classes,
    matrix_json,
)
from edgecnn.parallel import Progress, Resume, Workers, compute
from edgecnn.sources import Source


@dataclass(frozen=True)
class Compared:
    """One of the two networks: what it is called, whether it is int8, and its scores."""

    name: str
    kind: str
    scores: ClassScores

    def to_json(self) -> dict[str, Any]:
        """Its object in ``edgecnn evaluate --compare --json``."""
        return {"model": self.name, "kind": self.kind, **self.scores.to_json()}


@dataclass(frozen=True)
class Comparison:
    """Two networks on the same samples.

    ``agreement`` is the share of samples that both name the same class for. ``only_first`` and
    ``only_second`` count the samples that only one gets right, and ``p_value`` is McNemar's exact
    test of them: the chance of a difference as large between two that are equally good.
    """

    samples: int
    first: Compared
    second: Compared
    agreement: float
    only_first: int
    only_second: int
    p_value: float

    @property
    def confusion_difference(self) -> tuple[tuple[int, ...], ...]:
        """The second network's confusion matrix less the first one's."""
        pairs = zip(self.second.scores.confusion, self.first.scores.confusion, strict=True)
        return tuple(tuple(b - a for b, a in zip(*rows, strict=True)) for rows in pairs)

    def to_json(self) -> dict[str, Any]:
        """The object that ``edgecnn evaluate --compare --json`` prints."""
        return {
            "samples": self.samples,
            "first": self.first.to_json(),
            "second": self.second.to_json(),
            "agreement": self.agreement,
            "only_first_right": self.only_first,
            "only_second_right": self.only_second,
            "mcnemar_p_value": self.p_value,
            "confusion_difference": matrix_json(self.confusion_difference),
        }


@dataclass(frozen=True, eq=False)
class Contender:
    """A network, what it is called, and the samples as it takes them."""

    name: str
    side: Side
    source: Source


@dataclass(frozen=True, eq=False)
class _Compare:
    """Computes a piece of a comparison."""

    contenders: tuple[Contender, Contender]
    parts: tuple[slice, ...]

    def __call__(self, index: int) -> Piece:
        part = self.parts[index]
        labels, named = [], []
        for contender in self.contenders:
            side, source = contender.side, contender.source
            labels.append(class_labels(side.graph, source, part))
            named.append(classes(side.graph, side.output(source.feeds(side.graph, part))))
        first, second = (found == labels[0] for found in named)
        return {
            "agreeing": int(np.count_nonzero(named[0] == named[1])),
            "only": [int(np.count_nonzero(a & ~b)) for a, b in ((first, second), (second, first))],
            "classes": [count_classes(labels[0], found) for found in named],
        }


def compare(
    contenders: Sequence[Contender],
    workers: Workers,
    resume_folder: Any = None,
    progress: Progress = lambda done, total: None,
) -> Comparison:
    """Run two classifiers on the same labelled samples.

    Raises `UserError` where they tell different numbers of classes apart, and `DataError` for
    labels that no class has.
    """
    import edgecnn

    first, second = contenders
    counts = [class_count(contender.side.graph) for contender in contenders]
    if counts[0] != counts[1]:
        raise UserError(
            f"{first.name} tells {counts[0]} classes apart, but {second.name} {counts[1]}"
        )
    if counts[0] > MATRIX_CLASSES:
        raise UserError(f"--compare takes up to {MATRIX_CLASSES} classes; there are {counts[0]}")
    samples = len(first.source)
    parts = tuple(pieces_of(first.side.graph, samples))
    key = fingerprint(
        edgecnn.__version__, "compare", [(c.side.graph, c.source.identity()) for c in contenders]
    )
    work = _Compare((first, second), parts)
    with with_same_digits([first.side, second.side]):
        found = compute(work, len(parts), workers, Resume(key, resume_folder), progress)
    a, b = (
        Compared(c.name, c.side.name, class_scores((p["classes"][i] for p in found), counts[0]))
        for i, c in enumerate(contenders)
    )
    only_first, only_second = (sum(piece["only"][i] for piece in found) for i in (0, 1))
    agreement = sum(piece["agreeing"] for piece in found) / samples
    p_value = mcnemar(only_first, only_second)
    return Comparison(samples, a, b, agreement, only_first, only_second, p_value)


def mcnemar(only_first: int, only_second: int) -> float:
    """McNemar's exact test, two-sided: how likely so uneven a split is if both are as good."""
    from scipy.stats import binomtest

    disagreeing = only_first + only_second
    return float(binomtest(only_first, disagreeing).pvalue) if disagreeing else 1.0
