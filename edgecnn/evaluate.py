"""How good a float network and its int8 form are on labelled data: classes, values, anomalies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from edgecnn.errors import DataError
from edgecnn.fingerprint import fingerprint
from edgecnn.fixedpoint import dequantize, quantize
from edgecnn.ir import INT8, INT32, Array, Graph
from edgecnn.macs import total_macs
from edgecnn.metrics import (
    MATRIX_CLASSES,
    AnomalyScores,
    ClassScores,
    Piece,
    RegressionScores,
    anomaly_scores,
    class_scores,
    count_classes,
    reconstruction_errors,
    regression_scores,
    right_answers,
    spread,
    sum_errors,
)
from edgecnn.one_thread import one_blas_thread
from edgecnn.operators import operator
from edgecnn.parallel import Progress, Resume, Workers, compute
from edgecnn.simulator import chunks, run_float
from edgecnn.sources import ReadyFeeds, Source

#: Computes int8 samples: {input: int8 (samples, *shape)} to at least the outputs, likewise.
RunInt8 = Callable[[Mapping[str, Array]], Mapping[str, Array]]

#: A piece has so many samples at most, or those that take so many multiplications or bytes.
PIECE_SAMPLES = 256
PIECE_MACS = 1 << 29
PIECE_BYTES = 1 << 24
#: Inputs are quantized so many at a time, whose intermediate results stay in the cache.
QUANTIZED_VALUES = 1 << 14


class Task(StrEnum):
    """What a network is for."""

    auto = "auto"
    classification = "classification"
    regression = "regression"
    anomaly = "anomaly"


@dataclass(frozen=True)
class Accuracy:
    """Shares of samples, from 0 to 1.

    ``agreement`` is the share on which float and int8 name the same class, right or wrong. It
    and what is of the float network are None where there is none.
    """

    samples: int
    float_accuracy: float | None
    int8_accuracy: float
    agreement: float | None
    int8_classes: ClassScores | None = None
    float_classes: ClassScores | None = None

    def to_json(self) -> dict[str, Any]:
        """The object that ``edgecnn evaluate --json`` prints."""

        def of(accuracy: float | None, classes: ClassScores | None) -> dict[str, Any] | None:
            if accuracy is None:
                return None
            return {"accuracy": accuracy, **({} if classes is None else classes.to_json())}

        return {
            "task": Task.classification.value,
            "samples": self.samples,
            "float": of(self.float_accuracy, self.float_classes),
            "int8": of(self.int8_accuracy, self.int8_classes),
            "agreement": self.agreement,
        }


@dataclass(frozen=True)
class Errors:
    """Scores of networks whose outputs are values, or tell anomalies by them."""

    task: Task
    samples: int
    int8_scores: RegressionScores | AnomalyScores
    float_scores: RegressionScores | AnomalyScores | None

    def to_json(self) -> dict[str, Any]:
        """The object that ``edgecnn evaluate --json`` prints."""
        return {
            "task": self.task.value,
            "samples": self.samples,
            "float": None if self.float_scores is None else self.float_scores.to_json(),
            "int8": self.int8_scores.to_json(),
            "agreement": None,
        }


# --- networks ---------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Side:
    """A network and how it is computed: by ``run`` if it is int8, else in numpy's floats.

    ``codes`` is the int8 graph whose inputs int8 samples are of; the network's own by default.
    """

    graph: Graph
    run: RunInt8 | None = None
    codes: Graph | None = None

    @property
    def name(self) -> str:
        """``float`` or ``int8``."""
        return "float" if self.run is None else "int8"

    def output(self, feeds: Mapping[str, Array]) -> Array:
        """The first output of samples, (samples, *shape), in the type that the network has."""
        name = self.graph.outputs[0]
        if self.run is not None:
            return self.run(_as_int8(self.graph, feeds))[name]
        reals = _as_float(self.codes or self.graph, feeds)
        count = len(next(iter(reals.values())))
        parts = [
            run_float(self.graph, {n: x[part] for n, x in reals.items()})[name]
            for part in chunks(count, self.graph)
        ]
        return np.concatenate(parts)

    def values(self, output: Array) -> Array:
        """The reals that an output stands for, one row a sample."""
        tensor = self.graph.tensors[self.graph.outputs[0]]
        if tensor.quant is not None:
            output = dequantize(output, tensor.scale, tensor.zero_point)
        return output.reshape(len(output), -1)


def _as_int8(graph: Graph, x: Mapping[str, Array]) -> dict[str, Array]:
    def convert(name: str) -> Array:
        tensor, samples = graph.tensors[name], x[name]
        if samples.dtype == np.int8:
            return samples
        codes = np.empty(samples.shape, np.int8)
        step = max(1, QUANTIZED_VALUES // max(1, tensor.size))
        for start in range(0, len(samples), step):
            part = slice(start, start + step)
            codes[part] = quantize(samples[part], tensor.scale, tensor.zero_point)
        return codes

    return {name: convert(name) for name in graph.inputs}


def _as_float(graph: Graph, x: Mapping[str, Array]) -> dict[str, Array]:
    """Samples for a float network; int8 ones as the reals that they stand for."""

    def convert(name: str) -> Array:
        tensor, samples = graph.tensors[name], x[name]
        if samples.dtype == np.int8 and tensor.dtype == INT8:
            return dequantize(samples, tensor.scale, tensor.zero_point)
        return samples.astype(np.float32, copy=False)

    return {name: convert(name) for name in graph.inputs}


def _ends_in_index(graph: Graph) -> bool:
    last = graph.producers().get(graph.outputs[0])
    return last is not None and operator(last.op).output_dtype == INT32


def class_count(graph: Graph) -> int:
    """How many classes the first output tells apart."""
    output = graph.outputs[0]
    if not _ends_in_index(graph):
        return graph.tensors[output].size
    return graph.tensors[graph.producers()[output].inputs[0]].size // graph.tensors[output].size


def classes(graph: Graph, scores: Array) -> Array:
    """The class of each sample: the position of the first largest value of the first output.

    Where that output is the index of a class itself, it is the class.
    """
    if _ends_in_index(graph):
        return scores.reshape(len(scores), -1)[:, 0].astype(np.int64)
    return scores.reshape(len(scores), -1).argmax(axis=1)


def with_same_digits(sides: Sequence[Side]) -> AbstractContextManager[None]:
    """What floats are to be computed in, on whatever number of threads; integers need nothing."""
    return one_blas_thread() if any(side.run is None for side in sides) else nullcontext()


# --- labels -----------------------------------------------------------------------------------


def class_labels(graph: Graph, source: Source, part: slice) -> Array:
    """The labels of some samples, checked to be classes that a graph tells apart."""
    labels = source.labels(part)
    if labels is None:
        raise DataError(f"{source.name} has no labels: an .npz with 'x' and 'y' is needed")
    if labels.dtype.kind not in "iu" or labels.ndim != 1:
        raise DataError(f"the labels of {source.name} are not a list of integers")
    count, low, high = class_count(graph), int(labels.min()), int(labels.max())
    if low < 0 or high >= count:
        wrong = low if low < 0 else high
        raise DataError(
            f"label {wrong} is out of range: output '{graph.outputs[0]}' has {count} classes, "
            f"0 to {count - 1}"
        )
    return labels.astype(np.int64)


def _is_autoencoder(graph: Graph) -> bool:
    """Whether the output has the shape of the one input."""
    shapes = [graph.tensors[name].shape for name in (*graph.inputs, graph.outputs[0])]
    return len(shapes) == 2 and shapes[0] == shapes[1] and not _ends_in_index(graph)


def _target_shape(graph: Graph) -> tuple[int, ...]:
    """The shape of the first output as the user has it."""
    name = graph.outputs[0]
    shape, permutation = graph.tensors[name].shape, graph.output_permutations.get(name)
    return shape if permutation is None else tuple(shape[axis] for axis in permutation)


def _are_targets(graph: Graph, labels: Array) -> bool:
    """Whether labels have the shape of the output; a batch axis of 1 may be left out."""
    shape, found = _target_shape(graph), labels.shape[1:]
    return found in (shape, shape[1:] if shape[:1] == (1,) else shape) or (
        found == () and int(np.prod(shape)) == 1
    )


def find_task(graph: Graph, source: Source) -> Task:
    """What labelled samples ask of a network.

    Reals of the output's shape are values to be given, and so are the samples of a network whose
    output has the shape of its input, if there are no labels; labels that are all 0 or 1 tell
    anomalies of such a network. All else are classes.
    """
    first = source.labels(slice(0, 1)) if len(source) else None
    if first is None:
        return Task.regression if _is_autoencoder(graph) else Task.classification
    if first.dtype.kind == "f" and _are_targets(graph, first):
        return Task.regression
    if _is_autoencoder(graph) and first.dtype.kind in "biu" and first.ndim == 1:
        steps = range(0, len(source), 1 << 16)
        parts = (source.labels(slice(i, min(i + (1 << 16), len(source)))) for i in steps)
        if all(part is not None and set(np.unique(part)) <= {0, 1} for part in parts):
            return Task.anomaly
    return Task.classification


def _targets(graph: Graph, source: Source, part: slice, feeds: Mapping[str, Array]) -> Array:
    """The values that the output should have, one row a sample in the graph's layout."""
    labels = source.labels(part)
    if labels is None:
        return _itself(graph, source, feeds)
    if labels.dtype.kind not in "fiu" or not _are_targets(graph, labels):
        wanted = ", ".join(map(str, _target_shape(graph)))
        raise DataError(
            f"the labels of {source.name} are {labels.dtype} of shape {labels.shape}; values of "
            f"the output's shape are needed: (samples, {wanted})"
        )
    values = np.asarray(labels, np.float64)
    if not np.isfinite(values).all():
        raise DataError(f"the labels of {source.name} hold NaN or infinite values")
    permutation = graph.output_permutations.get(graph.outputs[0])
    if permutation is not None:
        inverse = np.argsort(permutation)
        shaped = values.reshape(len(values), *_target_shape(graph))
        values = shaped.transpose(0, *(int(axis) + 1 for axis in inverse))
    return values.reshape(len(values), -1)


def _itself(graph: Graph, source: Source, feeds: Mapping[str, Array]) -> Array:
    """The samples of an autoencoder, which it should give again."""
    if not _is_autoencoder(graph):
        raise DataError(f"{source.name} has no labels, and the output is no copy of the input")
    (reals,) = _as_float(graph, feeds).values()
    return reals.reshape(len(reals), -1)


def _kinds(source: Source, part: slice) -> list[int]:
    labels = source.labels(part)
    if labels is None or labels.dtype.kind not in "biu" or labels.ndim != 1:
        raise DataError(f"{source.name} needs 'y' with 0 (normal) and 1 (anomaly) for each sample")
    if not set(np.unique(labels)) <= {0, 1}:
        raise DataError(f"the labels of {source.name} are not all 0 (normal) or 1 (anomaly)")
    return [int(label) for label in labels]


# --- pieces -----------------------------------------------------------------------------------


def pieces_of(graph: Graph, count: int) -> list[slice]:
    """The samples in pieces, the same on every machine."""
    size = sum(graph.tensors[name].size for name in (*graph.inputs, *graph.outputs))
    by_macs = PIECE_MACS // max(1, total_macs(graph))
    by_bytes = PIECE_BYTES // (4 * max(1, size))
    step = max(1, min(PIECE_SAMPLES, by_macs, by_bytes))
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]


@dataclass(frozen=True, eq=False)
class _Measure:
    """Computes a piece of an evaluation; can be pickled if the networks' runners can."""

    task: Task
    sides: tuple[Side, ...]
    source: Source
    parts: tuple[slice, ...]

    def __call__(self, index: int) -> Piece:
        part = self.parts[index]
        graph = self.sides[-1].graph
        feeds = self.source.feeds(graph, part)
        if self.task is Task.classification:
            return self._classes(part, feeds)
        outputs = {side.name: side.values(side.output(feeds)) for side in self.sides}
        codes = self.sides[0].graph  # int8 samples are its inputs
        if self.task is Task.anomaly:
            targets = _itself(codes, self.source, feeds)
            each = {name: reconstruction_errors(targets, v) for name, v in outputs.items()}
            return {"labels": _kinds(self.source, part), "errors": each}
        targets = _targets(codes, self.source, part, feeds)
        errors = {name: sum_errors(targets, values) for name, values in outputs.items()}
        return {"spread": spread(targets), "errors": errors}

    def _classes(self, part: slice, feeds: Mapping[str, Array]) -> Piece:
        labels = class_labels(self.sides[0].graph, self.source, part)
        named = [classes(side.graph, side.output(feeds)) for side in self.sides]
        return {
            "agreeing": int(np.count_nonzero(named[0] == named[-1])),
            "classes": {
                side.name: count_classes(labels, found)
                for side, found in zip(self.sides, named, strict=True)
            },
        }


def measure(
    task: Task,
    sides: Sequence[Side],
    source: Source,
    workers: Workers,
    resume: Resume | None = None,
    progress: Progress = lambda done, total: None,
) -> Accuracy | Errors:
    """Evaluate the int8 network, and the float one where it is given, in this order.

    Samples are read, computed and counted piece by piece, on the given workers. Raises
    `DataError` where there is no sample, or for labels that are not of the task.
    """
    graph = sides[0].graph
    count = len(source)
    if count == 0:
        raise DataError(f"{source.name} holds no sample")
    parts = tuple(pieces_of(graph, count))
    work = _Measure(task, tuple(sides), source, parts)
    with with_same_digits(sides):
        found = compute(work, len(parts), workers, resume, progress)
    if task is Task.classification:
        return _accuracy(graph, sides, found, count)
    scores: dict[str, Any] = {}
    for side in sides:
        errors = [piece["errors"][side.name] for piece in found]
        if task is Task.regression:
            scores[side.name] = regression_scores(errors, [piece["spread"] for piece in found])
        else:
            labels = [label for piece in found for label in piece["labels"]]
            if len(set(labels)) < 2:
                raise DataError(f"{source.name} has labels of one kind only; 0 and 1 are needed")
            scores[side.name] = anomaly_scores(labels, [e for piece in errors for e in piece])
    return Errors(task, count, scores["int8"], scores.get("float"))


def _accuracy(graph: Graph, sides: Sequence[Side], found: Sequence[Piece], count: int) -> Accuracy:
    counts = {side.name: [piece["classes"][side.name] for piece in found] for side in sides}
    right = {name: right_answers(pieces) / count for name, pieces in counts.items()}
    scores: dict[str, ClassScores] = {}
    if class_count(graph) <= MATRIX_CLASSES:
        scores = {name: class_scores(p, class_count(graph)) for name, p in counts.items()}
    agreement = sum(piece["agreeing"] for piece in found) / count
    return Accuracy(
        count,
        right.get("float"),
        right["int8"],
        agreement if "float" in right else None,
        scores.get("int8"),
        scores.get("float"),
    )


def resume_key(task: Task, sides: Sequence[Side], source: Source) -> str:
    """A hash of all that an evaluation depends on."""
    import edgecnn

    graphs = [(side.graph, side.codes) for side in sides]
    return fingerprint(edgecnn.__version__, task.value, graphs, source.identity())


def evaluate(
    int8_graph: Graph,
    run_int8: RunInt8,
    x: Mapping[str, Array],
    y: Array,
    float_graph: Graph | None = None,
) -> Accuracy:
    """Classify labelled samples with the int8 network and, where it is given, the float one.

    ``x[input]`` is (samples, *shape) in the graph's layout, float32 or int8; ``y`` holds one
    integer label a sample. ``run_int8`` computes the int8 network on any exact runner, in several
    threads at once. The class is the argmax of the flattened first output. Raises `DataError`
    where there is no sample, where their number is not that of the labels, or for a label that
    no class has.
    """
    y = np.asarray(y)
    for name in int8_graph.inputs:
        if len(x[name]) != len(y):
            raise DataError(f"input '{name}' has {len(x[name])} samples, but {len(y)} labels")
    sides = [Side(int8_graph, run_int8)]
    if float_graph is not None:
        sides.append(Side(float_graph, codes=int8_graph))
    found = measure(Task.classification, sides, ReadyFeeds(x, y), Workers())
    assert isinstance(found, Accuracy)
    return found
