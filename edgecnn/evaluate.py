"""Accuracy of a float network and of its int8 form on labelled data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgecnn.errors import DataError
from edgecnn.fixedpoint import dequantize, quantize
from edgecnn.ir import INT8, INT32, Array, Graph
from edgecnn.operators import operator
from edgecnn.simulator import chunks, run_float

#: Computes int8 samples: {input: int8 (samples, *shape)} to at least the outputs, likewise.
RunInt8 = Callable[[Mapping[str, Array]], Mapping[str, Array]]


@dataclass(frozen=True)
class Accuracy:
    """Shares of samples, from 0 to 1.

    ``agreement`` is the share on which float and int8 name the same class, right or wrong. It
    and ``float_accuracy`` are None where there is no float network.
    """

    samples: int
    float_accuracy: float | None
    int8_accuracy: float
    agreement: float | None

    def to_json(self) -> dict[str, Any]:
        """The object that ``edgecnn evaluate --json`` prints."""
        known = self.float_accuracy is not None
        return {
            "samples": self.samples,
            "float": {"accuracy": self.float_accuracy} if known else None,
            "int8": {"accuracy": self.int8_accuracy},
            "agreement": self.agreement,
        }


def _ends_in_index(graph: Graph) -> bool:
    last = graph.producers().get(graph.outputs[0])
    return last is not None and operator(last.op).output_dtype == INT32


def _class_count(graph: Graph) -> int:
    """How many classes the first output tells apart."""
    output = graph.outputs[0]
    if not _ends_in_index(graph):
        return graph.tensors[output].size
    return graph.tensors[graph.producers()[output].inputs[0]].size // graph.tensors[output].size


def _classes(graph: Graph, values: Mapping[str, Array]) -> Array:
    """The class of each sample: the position of the first largest value of the first output.

    Where that output is the index of a class itself, it is the class.
    """
    scores = values[graph.outputs[0]]
    if _ends_in_index(graph):
        return scores.reshape(len(scores), -1)[:, 0].astype(np.int64)
    return scores.reshape(len(scores), -1).argmax(axis=1)


def _as_int8(graph: Graph, x: Mapping[str, Array], part: slice) -> dict[str, Array]:
    def convert(name: str) -> Array:
        tensor, samples = graph.tensors[name], x[name][part]
        if samples.dtype == np.int8:
            return samples
        return quantize(samples, tensor.scale, tensor.zero_point)

    return {name: convert(name) for name in graph.inputs}


def _as_float(graph: Graph, x: Mapping[str, Array], part: slice) -> dict[str, Array]:
    """Samples for the float network; int8 ones as the reals that they stand for."""

    def convert(name: str) -> Array:
        tensor, samples = graph.tensors[name], x[name][part]
        if samples.dtype == np.int8 and tensor.dtype == INT8:
            return dequantize(samples, tensor.scale, tensor.zero_point)
        return samples.astype(np.float32)

    return {name: convert(name) for name in graph.inputs}


def _check(graph: Graph, x: Mapping[str, Array], y: Array) -> None:
    count = len(y)
    if count == 0:
        raise DataError("the evaluation data hold no sample")
    for name in graph.inputs:
        if len(x[name]) != count:
            raise DataError(f"input '{name}' has {len(x[name])} samples, but {count} labels")
    classes = _class_count(graph)
    low, high = int(y.min()), int(y.max())
    if low < 0 or high >= classes:
        wrong = low if low < 0 else high
        raise DataError(
            f"label {wrong} is out of range: output '{graph.outputs[0]}' has {classes} classes, "
            f"0 to {classes - 1}"
        )


def evaluate(
    int8_graph: Graph,
    run_int8: RunInt8,
    x: Mapping[str, Array],
    y: Array,
    float_graph: Graph | None = None,
) -> Accuracy:
    """Classify labelled samples with the int8 network and, where it is given, the float one.

    ``x[input]`` is (samples, *shape) in the graph's layout, float32 or int8; ``y`` holds one
    integer label a sample. ``run_int8`` computes the int8 network on any exact runner. The class
    is the argmax of the flattened first output. Raises `DataError` where there is no sample,
    where their number is not that of the labels, or for a label that no class has.
    """
    y = np.asarray(y)
    _check(int8_graph, x, y)
    right_int8 = right_float = same = 0
    for part in chunks(len(y), int8_graph):
        int8_class = _classes(int8_graph, run_int8(_as_int8(int8_graph, x, part)))
        right_int8 += int(np.count_nonzero(int8_class == y[part]))
        if float_graph is not None:
            reals = _as_float(int8_graph, x, part)
            float_class = _classes(float_graph, run_float(float_graph, reals))
            right_float += int(np.count_nonzero(float_class == y[part]))
            same += int(np.count_nonzero(float_class == int8_class))
    count = len(y)
    return Accuracy(
        count,
        None if float_graph is None else right_float / count,
        right_int8 / count,
        None if float_graph is None else same / count,
    )
