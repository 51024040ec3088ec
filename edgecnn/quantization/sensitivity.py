"""What each layer's own quantization costs: all else is float, and the output is looked at.

A layer is quantized as in the int8 graph: its constants are what their integers stand for, and
its output is rounded to the steps of the output tensor. The float network is run once; for each
layer only what comes after it is run again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

import edgecnn
from edgecnn.errors import DataError
from edgecnn.evaluate import class_labels, classes
from edgecnn.fingerprint import fingerprint
from edgecnn.fixedpoint import round_half_away
from edgecnn.ir import Array, Graph, Node, Tensor, with_tensors
from edgecnn.macs import total_macs
from edgecnn.metrics import Piece
from edgecnn.one_thread import one_blas_thread
from edgecnn.operators import OutputRange, operator
from edgecnn.parallel import Progress, Resume, Workers, compute
from edgecnn.quantization.error import (
    LayerError,
    Sums,
    add_errors,
    comparable,
    total_errors,
)
from edgecnn.simulator import chunks, lower_all, run_float
from edgecnn.sources import Source

#: Samples of a piece of the work.
PIECE_SAMPLES = 16


@dataclass(frozen=True)
class LayerCost:
    """The output of a network in which one layer only is quantized, against the float one.

    ``sqnr_db`` and ``cosine`` are of all outputs, as in `LayerError`; ``accuracy`` is the share
    of samples that are classified right, None without labels. ``tensor`` is the first output of
    the layer, or an input of the network, whose ``op`` is then ``"input"``.
    """

    tensor: str
    op: str
    sqnr_db: float
    cosine: float | None
    accuracy: float | None


@dataclass(frozen=True)
class LayerTable:
    """What is known of each layer, on ``samples``.

    ``errors`` has what has come together at each tensor of the int8 network; ``costs`` what
    each layer costs alone. ``accuracy`` is the float network's, None without labels.
    """

    samples: int
    accuracy: float | None
    errors: tuple[LayerError, ...]
    costs: tuple[LayerCost, ...]

    @property
    def costliest(self) -> LayerCost | None:
        """The layer that takes most from the output's SQNR, the first of several.

        Not one whose scale TFLite fixes, such as a softmax: nothing can be done about it.
        """
        free = [cost for cost in self.costs if not _is_fixed(cost.op)]
        return min(free, key=lambda cost: cost.sqnr_db, default=None)

    def to_json(self) -> dict[str, Any]:
        """The part of ``edgecnn evaluate --layers --json`` that is about layers.

        Ratios without noise, or of nothing but noise, are null.
        """
        known = {error.tensor: error for error in self.errors}
        worst = self.costliest
        return {
            "samples": self.samples,
            "float_accuracy": self.accuracy,
            "costs_most": None if worst is None else worst.tensor,
            "table": [_row(cost, known.get(cost.tensor)) for cost in self.costs],
        }


def _row(cost: LayerCost, error: LayerError | None) -> dict[str, Any]:
    return {
        "tensor": cost.tensor,
        "op": cost.op,
        "sqnr_db": None if error is None else _finite(error.sqnr_db),
        "cosine": None if error is None else error.cosine,
        "alone": {
            "sqnr_db": _finite(cost.sqnr_db),
            "cosine": cost.cosine,
            "accuracy": cost.accuracy,
        },
    }


def _is_fixed(op: str) -> bool:
    return op != "input" and operator(op).output_range is OutputRange.FIXED


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


# --- one layer in int8 ------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Layer:
    """A layer: ``head`` is the quantized node (None for an input), ``tail`` what depends on it."""

    tensors: tuple[Tensor, ...]
    op: str
    head: Graph | None
    tail: Graph

    def outputs(self, values: Mapping[str, Array]) -> dict[str, Array]:
        """The network's outputs, where the float network computed ``values``."""
        changed = dict(values)
        if self.head is not None:
            changed |= run_float(self.head, {name: values[name] for name in self.head.inputs})
        changed |= {tensor.name: _rounded(changed[tensor.name], tensor) for tensor in self.tensors}
        if self.tail.nodes:
            changed |= run_float(self.tail, {name: changed[name] for name in self.tail.inputs})
        return {name: changed[name] for name in self.tail.outputs}


def _rounded(x: Array, tensor: Tensor) -> Array:
    """Reals to the nearest that a quantized tensor can hold; as they are where it is not one."""
    if tensor.quant is None:
        return x
    limits = np.iinfo(tensor.dtype)
    steps = round_half_away(x / np.float32(tensor.scale)) + tensor.zero_point
    clamped = np.clip(steps, limits.min, limits.max) - tensor.zero_point
    return (np.float32(tensor.scale) * clamped).astype(np.float32)


def _dequantized(tensor: Tensor) -> Tensor:
    """A constant as the reals that its integers stand for."""
    quant = tensor.quant
    if tensor.data is None or quant is None:
        return tensor
    shape = [1] * len(tensor.shape)
    if quant.is_per_channel and quant.axis is not None:
        shape[quant.axis] = len(quant.scale)
    zero_point = np.array(quant.zero_point, np.int64).reshape(shape)
    reals = (tensor.data.astype(np.int64) - zero_point) * np.array(quant.scale).reshape(shape)
    return Tensor(tensor.name, tensor.shape, data=reals.astype(np.float32))


def _part(graph: Graph, nodes: Sequence[Node]) -> Graph:
    """Some nodes of a graph as one that takes what they need and gives the graph's outputs."""
    computed = {name for node in nodes for name in node.outputs}
    needed = dict.fromkeys(name for node in nodes for name in graph.activation_inputs(node))
    inputs = tuple(name for name in needed if name not in computed)
    return graph.replace(nodes=tuple(nodes), inputs=inputs)


def _after(graph: Graph, changed: Sequence[str]) -> Graph:
    """What depends on some tensors."""
    reached = set(changed)
    nodes = []
    for node in graph.nodes:
        if reached.intersection(node.inputs):
            nodes.append(node)
            reached.update(node.outputs)
    return _part(graph, nodes)


def _head(float_graph: Graph, node: Node, int8_graph: Graph, int8_node: Node) -> Graph:
    """A node whose constants are those of the int8 graph."""
    inputs, constants = [], []
    for position, name in enumerate(int8_node.inputs):
        if name and not int8_graph.is_activation(name):
            constants.append(_dequantized(int8_graph.tensors[name]))
            inputs.append(name)
        else:
            inputs.append(node.inputs[position] if name else "")
    replaced = dataclasses.replace(node, inputs=tuple(inputs))
    graph = float_graph.replace(tensors=with_tensors(float_graph, constants))
    return _part(graph, [replaced])


def _layers(float_graph: Graph, int8_graph: Graph) -> list[_Layer]:
    """The inputs, and the layers that both graphs have."""
    tensors = int8_graph.tensors
    found = [
        _Layer((tensors[name],), "input", None, _after(float_graph, [name]))
        for name in float_graph.inputs
        if name in tensors
    ]
    there = {node.outputs: node for node in int8_graph.nodes}
    for node in float_graph.nodes:
        other = there.get(node.outputs)
        if other is None or other.op != node.op or not float_graph.activation_inputs(node):
            continue
        head = _head(float_graph, node, int8_graph, other)
        outputs = tuple(tensors[name] for name in node.outputs)
        found.append(_Layer(outputs, node.op, head, _after(float_graph, node.outputs)))
    return found


# --- the work ---------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Measure:
    """Computes a piece: all layers on some samples."""

    float_graph: Graph
    int8_graph: Graph
    source: Source
    parts: tuple[slice, ...]
    labelled: bool

    @cached_property
    def layers(self) -> list[_Layer]:
        return _layers(self.float_graph, self.int8_graph)

    @cached_property
    def params(self) -> tuple[Any, ...]:
        return lower_all(self.int8_graph)

    def __getstate__(self) -> dict[str, Any]:
        """What the fields hold; the rest is made anew where it is needed."""
        return {part.name: getattr(self, part.name) for part in dataclasses.fields(self)}

    def __call__(self, index: int) -> Piece:
        graph, part = self.float_graph, self.parts[index]
        feeds = self.source.feeds(graph, part)
        labels = class_labels(graph, self.source, part) if self.labelled else None
        values = run_float(graph, feeds)
        errors = {name: Sums() for name in comparable(graph, self.int8_graph)}
        add_errors(errors, self.int8_graph, self.params, values)
        costs = [self._cost(layer, values, labels) for layer in self.layers]
        return {
            "right": self._right(values, labels),
            "errors": [list(vars(sums).values()) for sums in errors.values()],
            "costs": costs,
        }

    def _cost(self, layer: _Layer, values: Mapping[str, Array], labels: Array | None) -> list[Any]:
        found, sums = layer.outputs(values), Sums()
        for name in dict.fromkeys(self.float_graph.outputs):
            sums.add(values[name], found[name])
        return [list(vars(sums).values()), self._right(found, labels)]

    def _right(self, values: Mapping[str, Array], labels: Array | None) -> int:
        if labels is None:
            return 0
        named = classes(self.float_graph, values[self.float_graph.outputs[0]])
        return int(np.count_nonzero(named == labels))


def _joined(pieces: Sequence[Sequence[float]]) -> Sums:
    total = Sums()
    for piece in pieces:
        total.join(Sums(*piece))
    return total


def affordable_samples(graph: Graph, budget: int) -> int:
    """How many samples `measure_layers` computes with about ``budget`` multiply-accumulates."""
    return max(1, budget // (max(1, total_macs(graph)) * (len(graph.nodes) // 2 + 2)))


def measure_layers(
    float_graph: Graph,
    int8_graph: Graph,
    source: Source,
    count: int,
    workers: Workers,
    *,
    labelled: bool,
    resume: Resume | None = None,
    progress: Progress = lambda done, total: None,
) -> LayerTable:
    """Errors of all tensors, and what each layer costs alone, on the first ``count`` samples.

    Both graphs name their tensors alike. With ``labelled`` the samples have labels of classes.
    Raises `DataError` where there is no sample, or for labels that no class has.
    """
    count = min(count, len(source))
    if count == 0:
        raise DataError(f"{source.name} holds no sample")
    step = min(PIECE_SAMPLES, next(chunks(count, float_graph)).stop)
    parts = tuple(slice(i, min(i + step, count)) for i in range(0, count, step))
    work = _Measure(float_graph, int8_graph, source, parts, labelled)
    with one_blas_thread():
        found = compute(work, len(parts), workers, resume, progress)
    errors = {
        name: _joined([piece["errors"][i] for piece in found])
        for i, name in enumerate(comparable(float_graph, int8_graph))
    }
    costs = []
    for i, layer in enumerate(work.layers):
        sums = _joined([piece["costs"][i][0] for piece in found])
        right = sum(piece["costs"][i][1] for piece in found)
        accuracy = right / count if labelled else None
        costs.append(
            LayerCost(layer.tensors[0].name, layer.op, sums.sqnr_db, sums.cosine, accuracy)
        )
    accuracy = sum(piece["right"] for piece in found) / count if labelled else None
    return LayerTable(count, accuracy, total_errors(errors, int8_graph), tuple(costs))


def layers_key(float_graph: Graph, int8_graph: Graph, source: Source, count: int) -> str:
    """A hash of all that a table of layers depends on."""
    facts = (edgecnn.__version__, "layers", float_graph, int8_graph, source.identity(), count)
    return fingerprint(*facts)
