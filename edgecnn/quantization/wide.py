"""Single layers in 16 bits: TFLite's 16x8 scheme inside of a network that is else int8.

A wide layer takes and gives int16 activations, symmetric around 0, and keeps its int8 weights; a
bias is int64. Where the width changes, the float graph gets a `requantize`, which does nothing in
float; so ranges are observed and chosen for every tensor that the int8 graph has.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np

from edgecnn.errors import Problem, UnsupportedError, UserError
from edgecnn.fixedpoint import INT16_MAX, quantize, round_and_clamp
from edgecnn.ir import INT16, INT64, Array, Graph, Node, QuantParams, Tensor
from edgecnn.operators import operator, operators
from edgecnn.quantization.observers import Observation
from edgecnn.quantization.sharing import SharedRange

#: Smallest scale of int16 that is handed out: runtimes divide the 6 of a fused ReLU6 by it.
MIN_WIDE_SCALE = 1e-8
#: Largest bias that is handed out, with room for the sum of products beside it.
MAX_WIDE_BIAS = 1 << 46
#: Layers that a message names at most.
_NAMED = 12


@dataclass(frozen=True)
class Widened:
    """A float graph with a `requantize` wherever the width changes.

    ``tensors`` are the activations that become int16.
    """

    graph: Graph
    tensors: frozenset[str] = frozenset()


def widened(graph: Graph, wide: Collection[str]) -> Widened:
    """Put conversions around the layers with the given names (of their outputs).

    A view between two wide layers is wide as well. Inputs and outputs of the graph stay int8 and
    keep their names: of a layer that gives an output, what it computes gets another one. Raises
    `UserError` for a name that no layer has, and `UnsupportedError` with all layers whose operator
    has no form in 16 bits.
    """
    if not wide:
        return Widened(graph)
    _check(graph, wide)
    return _Widening(graph, frozenset(wide) | _views_between(graph, frozenset(wide))).run()


def _check(graph: Graph, wide: Collection[str]) -> None:
    producers = graph.producers()
    unknown = sorted(set(wide) - set(producers))
    if unknown:
        names = [node.output for node in graph.nodes if operator(node.op).has_wide_form]
        more = "" if len(names) <= _NAMED else f" and {len(names) - _NAMED} more"
        raise UserError(
            f"no layer is called '{unknown[0]}', so it cannot be computed in 16 bits; layers that "
            f"can are {', '.join(names[:_NAMED])}{more}"
        )
    forms = sorted(name for name, op in operators().items() if op.has_wide_form)
    problems = [
        Problem(node.op, node.output, "it has no form in 16 bits", f"give {', '.join(forms)}")
        for node in graph.nodes
        if node.output in wide and not operator(node.op).has_wide_form
    ]
    if problems:
        raise UnsupportedError(problems)


def _views_between(graph: Graph, wide: frozenset[str]) -> frozenset[str]:
    """Views that only wide layers read, behind a wide layer or another such view."""
    consumers = graph.consumers()
    read_wide: set[str] = set(wide)
    for node in reversed(graph.nodes):
        readers = {reader.output for reader in consumers[node.output]}
        if operator(node.op).is_view and readers and readers <= read_wide:
            read_wide.add(node.output)
    found: set[str] = set(wide)
    for node in graph.nodes:
        if node.output in read_wide and set(graph.activation_inputs(node)) <= found:
            found.add(node.output)
    return frozenset(found)


class _Widening:
    """Rewrites the nodes in execution order."""

    def __init__(self, graph: Graph, wide: frozenset[str]) -> None:
        self._graph, self._wide = graph, wide
        self._tensors = dict(graph.tensors)
        self._nodes: list[Node] = []
        self._int16: set[str] = set()
        #: The tensor of a name in a width, by name and whether it is int16.
        self._known = {(name, False): name for name in graph.inputs}

    def run(self) -> Widened:
        """Rewrite all nodes."""
        for node in self._graph.nodes:
            self._node(node)
        graph = self._graph.replace(nodes=tuple(self._nodes), tensors=self._tensors)
        return Widened(graph, frozenset(self._int16))

    def _node(self, node: Node) -> None:
        is_wide = node.output in self._wide
        inputs = tuple(
            self._in_width(name, is_wide) if self._graph.is_activation(name) else name
            for name in node.inputs
        )
        outputs = tuple(self._computed(name, is_wide) for name in node.outputs)
        self._nodes.append(Node(node.op, inputs, outputs, node.attributes))
        for name, computed in zip(node.outputs, outputs, strict=True):
            if name != computed:  # an output of the graph, which is int8
                self._convert(computed, name)
                self._known[name, False] = name

    def _computed(self, name: str, is_wide: bool) -> str:
        """The name of what a node computes."""
        computed = name
        if is_wide and name in self._graph.outputs:
            computed = self._add(name, "_int16")
        if is_wide:
            self._int16.add(computed)
        self._known[name, is_wide] = computed
        return computed

    def _in_width(self, name: str, is_wide: bool) -> str:
        """A tensor in a width; it is converted when it is first asked for."""
        if (name, is_wide) not in self._known:
            copy = self._add(name, "_int16" if is_wide else "_int8")
            if is_wide:
                self._int16.add(copy)
            self._convert(self._known[name, not is_wide], copy)
            self._known[name, is_wide] = copy
        return self._known[name, is_wide]

    def _convert(self, source: str, target: str) -> None:
        attributes = operator("requantize").attributes()
        self._nodes.append(Node("requantize", (source,), (target,), attributes))

    def _add(self, name: str, suffix: str) -> str:
        """Enter a copy of a tensor under a name that no other has."""
        fresh = name + suffix
        while fresh in self._tensors:
            fresh += "_"
        self._tensors[fresh] = Tensor(fresh, self._tensors[name].shape)
        return fresh


def symmetric(largest: float) -> QuantParams:
    """Scale of int16 values up to a magnitude: the whole range, around 0."""
    scale = max(largest / INT16_MAX, MIN_WIDE_SCALE) if largest > 0 else 1.0
    return QuantParams.per_tensor(scale, 0)


def shared_scale(shared: SharedRange, seen: Mapping[str, Observation]) -> QuantParams:
    """Scale of the int16 tensors that share a range, from all that was observed of them."""
    ends = [end for n in shared.activations for end in (seen[n].low, seen[n].high)]
    ends += [end for data in shared.constants for end in (float(data.min()), float(data.max()))]
    return symmetric(max(abs(end) for end in ends))


def quantize_wide_bias(tensor: Tensor, input_scale: float, scales: Array) -> Tensor:
    """int64 bias in steps of input scale times weight scale."""
    assert tensor.data is not None
    steps = np.float64(input_scale) * scales.astype(np.float64)
    codes = round_and_clamp(tensor.data.reshape(-1) / steps, -MAX_WIDE_BIAS, MAX_WIDE_BIAS)
    values = tuple(float(np.float32(step)) for step in steps)
    quant = QuantParams(values, (0,) * len(values), 0 if len(values) > 1 else None)
    return Tensor(tensor.name, tensor.shape, INT64, codes.reshape(tensor.shape), quant)


def quantize_wide_operand(tensor: Tensor, quant: QuantParams | None = None) -> Tensor:
    """A constant operand as int16 over its own range, or by a given scale."""
    assert tensor.data is not None
    if quant is None:
        quant = symmetric(float(np.abs(tensor.data).max()))
    data = quantize(tensor.data, quant.scale[0], 0, INT16)
    return Tensor(tensor.name, tensor.shape, INT16, data, quant)
