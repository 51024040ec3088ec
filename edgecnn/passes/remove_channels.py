"""Removes channels of an int8 graph that no output depends on; no byte of the outputs changes.

Two kinds go: dead channels, which nothing reads with a weight other than 0, and constant ones,
which have one value for every input and add a constant to the sums of what reads them: that goes
into the bias. All is decided on the integers that TensorFlow Lite Micro computes with.

A tensor that lost channels, or of which some need not be right any more, is called otherwise;
one that keeps its name keeps its bytes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn import verify
from edgecnn.accumulate import bias_or_zeros, weights_zero_point
from edgecnn.console import number
from edgecnn.errors import InvariantError
from edgecnn.fixedpoint import INT32_MAX, INT32_MIN
from edgecnn.ir import INT32, Array, Attributes, Graph, Node, QuantParams, Tensor, prune
from edgecnn.macs import total_macs
from edgecnn.operators import operator
from edgecnn.ops.reshape import ReshapeAttributes
from edgecnn.ops.split import SplitAttributes
from edgecnn.passes.channel_links import links, sums_channels
from edgecnn.passes.channel_ranges import Ranges, accumulator_range, channel_ranges
from edgecnn.passes.editing import unique_name
from edgecnn.passes.live_channels import (
    Masks,
    column_of_channels,
    effective_weights,
    foldable,
    kept_channels,
    live_channels,
    varying_rows,
)

if TYPE_CHECKING:
    from edgecnn.quantization.error import LayerError

#: What the names of tensors with fewer channels end with.
SUFFIX = "/kept"


@dataclass(frozen=True)
class ChannelReport:
    """How much of a network never mattered.

    ``removed`` is the number of channels that went, by the tensor's name in the given graph.
    ``weights_idle`` of the ``weights_before`` were removed or are zero.
    """

    removed: Mapping[str, int]
    weights_before: int
    weights_after: int
    weights_idle: int
    macs_before: int
    macs_after: int

    @property
    def idle_share(self) -> float:
        """The share of weights that never mattered."""
        return self.weights_idle / self.weights_before if self.weights_before else 0.0

    def summary(self) -> str:
        """One line.

        >>> print(ChannelReport({"a": 2, "b": 1}, 1000, 400, 830, 5000, 2000).summary())
        83 % of the weights never mattered; channels removed: 3, weights left: 400 of 1 000, \
MACs left: 2 000 of 5 000
        """
        share, count = f"{100 * self.idle_share:.0f} % of the weights", sum(self.removed.values())
        if not count:
            return f"{share} are zero; no channel can be removed"
        weights = f"{number(self.weights_after)} of {number(self.weights_before)}"
        macs = f"{number(self.macs_after)} of {number(self.macs_before)}"
        return (
            f"{share} never mattered; channels removed: {number(count)}, "
            f"weights left: {weights}, MACs left: {macs}"
        )

    def to_json(self) -> dict[str, Any]:
        """The object under ``channels`` in the JSON of an export."""
        return {
            "removed": dict(self.removed),
            "weights_before": self.weights_before,
            "weights_after": self.weights_after,
            "weights_idle": self.weights_idle,
            "idle_share": self.idle_share,
            "macs_before": self.macs_before,
            "macs_after": self.macs_after,
        }


@dataclass(frozen=True, eq=False)
class Removal:
    """A graph, perhaps with fewer channels; ``names`` are the new ones of renamed tensors.

    ``report`` is None where nothing was looked for.
    """

    graph: Graph
    report: ChannelReport | None = None
    names: Mapping[str, str] = field(default_factory=dict)

    def renamed_errors(
        self, errors: tuple[LayerError, ...] | None
    ) -> tuple[LayerError, ...] | None:
        """Errors of the given graph under the names of this one."""
        if errors is None:
            return None
        return tuple(
            dataclasses.replace(error, tensor=self.names.get(error.tensor, error.tensor))
            for error in errors
            if self.names.get(error.tensor, error.tensor) in self.graph.tensors
        )


def remove_channels(graph: Graph) -> Removal:
    """Remove the channels of an int8 graph that its outputs do not depend on.

    Inputs and outputs stay as they are. Where nothing can go the graph itself is returned.
    Raises `InvariantError` where the graph, or what comes of it, breaks a rule.
    """
    verify.check(graph)
    used = prune(graph)
    ranges = channel_ranges(used)
    live = live_channels(used, ranges)
    kept = kept_channels(used, live)
    removed = {name: int((~mask).sum()) for name, mask in kept.items() if not mask.all()}
    smaller, names = _Rewrite(used, ranges, live, kept).run() if removed else (graph, {})
    verify.check(smaller)
    (before, _), (after, left) = _weights(graph), _weights(smaller)
    report = ChannelReport(
        removed, before, after, before - left, total_macs(graph), total_macs(smaller)
    )
    return Removal(smaller, report, {old: new for old, new in names.items() if new != old})


class _Rewrite:
    """One graph on its way to fewer channels."""

    def __init__(self, graph: Graph, ranges: Ranges, live: Masks, kept: Masks) -> None:
        self._graph, self._ranges, self._live, self._kept = graph, ranges, live, kept
        self._tensors: dict[str, Tensor] = dict(graph.tensors)
        self._names: dict[str, str] = {name: name for name in graph.inputs}

    def run(self) -> tuple[Graph, Mapping[str, str]]:
        """The graph with the kept channels only, and the new names of its activations."""
        nodes = []
        for node in self._graph.nodes:
            summing = sums_channels(node, self._graph)
            constants, disturbed = self._cut_sum(node) if summing else self._cut_linked(node)
            self._name_outputs(node, disturbed)
            nodes.append(
                Node(
                    node.op,
                    self._inputs(node, constants),
                    tuple(self._names[name] for name in node.outputs),
                    self._attributes(node),
                )
            )
        graph = self._graph.replace(nodes=tuple(nodes), tensors=self._tensors)
        return prune(graph), self._names

    # --- activations --------------------------------------------------------------------------

    def _name_outputs(self, node: Node, disturbed: bool) -> None:
        """Enter the outputs of a node, under new names where their values may have changed."""
        disturbed |= any(self._names.get(name, name) != name for name in node.inputs)
        for name in node.outputs:
            live, kept = self._live[name], self._kept[name]
            same = kept.all() and (live.all() or not disturbed)
            new = name if same else unique_name(self._tensors, name + SUFFIX)
            self._names[name] = new
            tensor = self._graph.tensors[name]
            shape = (*tensor.shape[:-1], int(kept.sum())) if tensor.shape else ()
            self._tensors[new] = dataclasses.replace(tensor, name=new, shape=shape)

    def _inputs(self, node: Node, constants: Mapping[int, str]) -> tuple[str, ...]:
        """The inputs of a node, with the constants at some positions replaced or added."""
        count = max(len(node.inputs), 1 + max(constants, default=0))
        names = (*node.inputs, *[""] * (count - len(node.inputs)))
        return tuple(constants.get(i, self._names.get(name, name)) for i, name in enumerate(names))

    def _attributes(self, node: Node) -> Attributes:
        """The attributes, with the sizes that the outputs now have."""
        a = node.attributes
        shapes = [self._tensors[self._names[name]].shape for name in node.outputs]
        if isinstance(a, ReshapeAttributes):
            return dataclasses.replace(a, shape=shapes[0])
        if isinstance(a, SplitAttributes):
            return dataclasses.replace(a, sizes=tuple(shape[a.axis] for shape in shapes))
        return a

    # --- constants ----------------------------------------------------------------------------

    def _cut_linked(self, node: Node) -> tuple[dict[int, str], bool]:
        """New constants by position, of a node whose constants have their channels last."""
        linked = links(node, self._graph)
        (label, name) = (linked.outputs[0], node.output)
        constants: dict[int, str] = {}
        if label is None:
            return constants, False
        going = label[~self._kept[name]]
        for position, (constant, own) in enumerate(zip(node.inputs, linked.inputs, strict=True)):
            if own is None or self._graph.constant(constant) is None:
                continue
            mask = ~np.isin(own, going)
            if not mask.all():
                constants[position] = self._cut_constant(constant, mask)
        return constants, False

    def _cut_constant(self, name: str, mask: Array) -> str:
        """Enter the channels of a constant that stay."""
        tensor = self._graph.tensors[name]
        assert tensor.data is not None
        quant = _cut_quant(tensor.quant, len(tensor.shape) - 1, mask)
        return self._enter(tensor, tensor.data[..., mask], quant)

    def _cut_sum(self, node: Node) -> tuple[dict[int, str], bool]:
        """New weights and bias of a weighted sum, and whether a dead row has other values now.

        What constant channels that go have added to the sums is added to the bias. A row that
        loses more than that does not vary, or does not matter: it becomes its lowest sum.
        """
        graph = self._graph
        columns = column_of_channels(node, graph, self._kept[node.inputs[0]])
        rows = self._kept[node.output]
        if columns.all() and rows.all():
            return {}, False
        weights = graph.tensors[node.inputs[1]]
        assert weights.data is not None
        effective = effective_weights(node, graph)
        varying = varying_rows(node, self._ranges, self._live)
        lost = effective[:, :, ~columns].any(axis=(1, 2))
        flat = lost & ~varying
        folds = ~columns & foldable(node, graph, self._ranges, varying)
        steps = column_of_channels(node, graph, self._ranges[node.inputs[0]].low)
        steps = np.where(folds, steps - graph.tensors[node.inputs[0]].zero_point, 0)
        bias = self._bias(node, len(rows)) + effective.sum(axis=1) @ steps
        bias[flat] = accumulator_range(node, graph, self._ranges).low[flat]
        data = weights.data.copy()
        data[flat] = weights_zero_point(graph, node)
        quant = _cut_quant(weights.quant, 0, rows)
        constants = {1: self._enter(weights, data[rows][..., columns], quant)}
        if len(node.inputs) > 2 and node.inputs[2]:
            tensor = graph.tensors[node.inputs[2]]
        else:
            tensor = Tensor(f"{node.output}_bias", (), INT32)
        constants[2] = self._enter(
            tensor, _as_int32(bias[rows], node), _cut_quant(tensor.quant, 0, rows)
        )
        return constants, bool((flat & ~self._live[node.output]).any())

    def _bias(self, node: Node, count: int) -> Array:
        """The int64 bias of a weighted sum, as it is stored."""
        return bias_or_zeros(self._graph, node, count).astype(np.int64)

    def _enter(self, tensor: Tensor, data: Array, quant: QuantParams | None) -> str:
        """Enter a constant that is made of another."""
        name = unique_name(self._tensors, tensor.name + SUFFIX)
        data = np.ascontiguousarray(data)
        self._tensors[name] = Tensor(name, data.shape, tensor.dtype, data, quant)
        return name


def _cut_quant(quant: QuantParams | None, axis: int, mask: Array) -> QuantParams | None:
    """The scales of the channels that stay, where each has one."""
    if quant is None or not quant.is_per_channel or quant.axis != axis:
        return quant
    (places,) = np.nonzero(mask)
    return QuantParams(
        tuple(quant.scale[i] for i in places),
        tuple(quant.zero_point[i] for i in places),
        quant.axis if len(places) > 1 else None,
    )


def _as_int32(bias: Array, node: Node) -> Array:
    """A bias that took in constants, which cannot overflow where the sums could not before."""
    if np.any((bias < INT32_MIN) | (bias > INT32_MAX)):
        raise InvariantError(
            f"the bias of {node.op} '{node.output}' overflows with folded channels"
        )
    return bias.astype(np.int32)


def _weights(graph: Graph) -> tuple[int, int]:
    """Number of weights of a graph, and how many of them are not zero."""
    found: dict[str, Array] = {}
    for node in graph.nodes:
        meaning = operator(node.op)
        for position in meaning.weight_biases if meaning.weights_axis is not None else ():
            name = node.inputs[position] if position < len(node.inputs) else ""
            data = graph.constant(name)
            if data is not None:
                found[name] = data != (weights_zero_point(graph, node) if position == 1 else 0)
    return sum(a.size for a in found.values()), sum(int(a.sum()) for a in found.values())
