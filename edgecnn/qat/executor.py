"""Runs the graph of a plan in torch, rounded as its int8 network will be."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from edgecnn.ir import INT8, Graph, Node
from edgecnn.ir import Tensor as GraphTensor
from edgecnn.moves import Move
from edgecnn.operators import Dialect, OutputRange, operator
from edgecnn.qat import layers, operators
from edgecnn.qat.plan import Plan
from edgecnn.qat.provenance import Dropout
from edgecnn.qat.ranges import Scale, rounded
from edgecnn.qat.rounding import quantize_operand, round_half_away, straight_through

Values = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Parameters:
    """What a run computes with: constants of the graph, and slopes of leaky ReLUs by output."""

    constants: Mapping[str, Tensor]
    slopes: Mapping[str, Tensor]


@dataclass(frozen=True, eq=False)
class Training:
    """What is done in training only.

    ``norms`` are the batch normalizations, by their output, that take the statistics of the batch;
    ``running`` is filled with the new values of the constants that hold theirs. ``drops`` says
    whether dropout does so.
    """

    norms: Mapping[str, layers.BatchNorm] = field(default_factory=dict)
    drops: bool = False
    running: Values = field(default_factory=dict)


def moves_only(node: Node) -> bool:
    """Whether the output holds values of the input, which are rounded already."""
    op = operator(node.op)
    if op.output_range is not OutputRange.SAME_AS_INPUT:
        return False
    if node.op in ("max_pool2d", "pad"):
        return getattr(node.attributes, "value", 0.0) == 0.0 and (
            getattr(node.attributes, "activation", "none") == "none"
        )
    return isinstance(op, Move) or node.op in ("reshape", "transpose")


class Executor:
    """Computes a batch; with ``scales`` None nothing is rounded."""

    def __init__(
        self,
        plan: Plan,
        parameters: Parameters,
        scales: Sequence[Scale] | None,
        training: Training,
    ) -> None:
        self.plan = plan
        self.graph: Graph = plan.graph
        self.parameters = parameters
        self.constants = parameters.constants
        self.scales = scales
        self.training = training
        self._values: Values = {}
        self._folded: set[str] = set()
        self._settled: set[str] = set()

    def run(self, feeds: Mapping[str, Tensor]) -> Values:
        """All activations of the graph from its inputs, (samples, …) in the graph's layout."""
        for name, x in feeds.items():
            self._keep(name, x)
        for node in self.graph.nodes:
            exact = self._exact(node)
            is_moved = moves_only(node) and node.inputs[0] in self._settled
            for name, y in zip(node.outputs, self._node(node), strict=True):
                self._keep(name, y, is_moved)
            if exact is not None:
                real = self._values[node.output]
                self._values[node.output] = straight_through(real, exact)
        return self._values

    def _keep(self, name: str, x: Tensor, is_moved: bool = False) -> None:
        """Round a value where it becomes int8, unless it was moved and is rounded already."""
        row = self.plan.row_of.get(name)
        if self.scales is not None and row is not None and not is_moved:
            x = rounded(x, self.scales[row])
        if is_moved or row is not None:
            self._settled.add(name)
        self._values[name] = x

    def _inputs(self, node: Node) -> list[Tensor | None]:
        def value(name: str) -> Tensor:
            return self._values[name] if name in self._values else self.constants[name]

        return [value(name) if name else None for name in node.inputs]

    def _node(self, node: Node) -> tuple[Tensor, ...]:
        if isinstance(node.attributes, Dropout):
            x = self._source(node)
            return (_dropped(node.attributes, x) if self.training.drops else x,)
        if self.plan.folded.get(node.output) in self._folded:
            return (self._source(node),)
        if node.output in self.plan.layers and self.scales is not None:
            return (self._layer(node, self.scales),)
        if node.op == "batch_norm":
            return (self._normalized(node),)
        return operators.compute(node, self._operands(node))

    def _source(self, node: Node) -> Tensor:
        return self._values[self.graph.activation_inputs(node)[0]]

    def _layer(self, node: Node, scales: Sequence[Scale]) -> Tensor:
        layer, x = self.plan.layers[node.output], self._source(node)
        if not any(norm.output in self.training.norms for norm in layer.norms):
            self._folded.add(node.output)
            input_scale = scales[layer.input_row].scale
            return layers.compute_folded(layer, self.graph, self.constants, x, input_scale)
        if node.op == "batch_norm":
            return self._normalized(node)
        return layers.compute_apart(layer, self.constants, x)

    def _normalized(self, node: Node) -> Tensor:
        owner = self.training.norms.get(node.output)
        running = self.training.running
        constants = {**self.constants, **running} if owner is not None else self.constants
        y, statistics = layers.normalize(node, constants, self._source(node), owner)
        running.update(statistics)
        return y

    def _operands(self, node: Node) -> list[Tensor | None]:
        """The inputs of a node, with constants rounded where the exporter rounds them."""
        inputs = self._inputs(node)
        if self.scales is not None:
            for position in self.plan.operands.get(node.output, ()):
                data = inputs[position]
                assert data is not None
                inputs[position] = quantize_operand(data)
            for position in self.plan.rescaled.get(node.output, ()):
                inputs[position] = self._rescaled(node, node.inputs[position], self.scales)
        if node.output in self.parameters.slopes:
            inputs.append(self.parameters.slopes[node.output])
        return inputs

    def _rescaled(self, node: Node, name: str, scales: Sequence[Scale]) -> Tensor:
        """An input in steps of the output, which the exporter requantizes it to."""
        given, wanted = (scales[self.plan.row_of[n]] for n in (name, node.output))
        x, source = self._values[name], self.graph.tensors[name]
        ends = (source, dataclasses.replace(source, name=f"{name} in steps of the output"))
        attributes = operator("requantize").attributes()
        requantize = Node("requantize", (name,), (ends[1].name,), attributes)
        exact = by_integers(requantize, ends, x, given, wanted)
        return straight_through(rounded(x, wanted), exact)

    def _exact(self, node: Node) -> Tensor | None:
        """What the integer kernel gives, where that is not simply the rounded real result."""
        row = self.plan.row_of.get(node.inputs[0]) if node.inputs else None
        if self.scales is None or row is None or node.op not in _OWN_ROUNDING:
            return None
        if node.output in self.parameters.slopes:
            return None
        shares = operator(node.op).output_range is OutputRange.SAME_AS_INPUT
        output_row = row if shares else self.plan.row_of.get(node.output)
        if output_row is None:
            return None
        ends = [self.graph.tensors[name] for name in (node.inputs[0], node.output)]
        return by_integers(
            node, ends, self._source(node), self.scales[row], self.scales[output_row]
        )


#: Operators whose kernels round on the way, or not at the nearest step.
_OWN_ROUNDING = (
    "average_pool2d", "hard_swish", "l2_normalization", "leaky_relu", "log_softmax", "mean",
    "relu", "resize_bilinear", "sigmoid", "softmax", "sum", "tanh",
)  # fmt: skip


@torch.no_grad()
def by_integers(
    node: Node, ends: Sequence[GraphTensor], x: Tensor, given: Scale, wanted: Scale
) -> Tensor:
    """The reals that the integer meaning of a node gives for an input on the grid of a scale.

    ``ends`` are the tensors of its input and output in the float graph.
    """
    quants = (given.quant(), wanted.quant())
    tensors = {
        end.name: dataclasses.replace(end, dtype=INT8, quant=quant)
        for end, quant in zip(ends, quants, strict=True)
    }
    graph = Graph("node", (node,), tensors, node.inputs, node.outputs)
    params = operator(node.op).lower(node, graph, Dialect.TFLM)
    codes = (round_half_away(x / given.scale) + given.zero_point).to(torch.int8)
    (result,) = operator(node.op).evaluate_int(params, [codes.cpu().numpy()])
    return (torch.from_numpy(result).to(x) - wanted.zero_point) * wanted.scale


def _dropped(dropout: Dropout, x: Tensor) -> Tensor:
    """Dropout of values, or of the channels of images."""
    if dropout.kind == "dropout":
        return functional.dropout(x, dropout.share)
    if dropout.kind == "alpha_dropout":
        return functional.alpha_dropout(x, dropout.share, training=True)
    channels = functional.dropout2d
    if dropout.kind == "feature_alpha_dropout":
        channels = functional.feature_alpha_dropout
    return channels(x.movedim(-1, 1), dropout.share, True).movedim(1, -1)
