"""Makes an int8 network compute more nearly what its float network does, without labels.

The layers are gone through in order, on calibration data. Each reads what the repaired int8 layers
before it give, and its weights are rounded (`learn_rounding`) and its bias shifted so that its sums
come as near as they can to those of the float layer, which reads what the float layers give. So a
layer also makes good what it can of the errors that reach it. The shift of the bias is the mean
error of each channel: the empirical bias correction of Nagel et al., "Data-Free Quantization
Through Weight Equalization and Bias Correction" (2019), section 4.2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from edgecnn.fixedpoint import dequantize, quantize, round_and_clamp
from edgecnn.ir import INT16, INT32, INT64, Array, Graph, Node, QuantParams, Tensor
from edgecnn.macs import total_macs
from edgecnn.operators import operator
from edgecnn.passes.editing import unique_name
from edgecnn.quantization.rounding import MAX_DEPTH, Moments, learn_rounding
from edgecnn.quantization.weights import MAX_BIAS
from edgecnn.quantization.wide import MAX_WIDE_BIAS
from edgecnn.simulator import Values, chunks, run_float, run_int, run_node

#: Samples that layers are repaired on; more change little.
SAMPLES = 256
#: Bytes that the activations of these samples may take.
MEMORY = 1 << 31
#: Multiply-accumulates that running them may take, and samples that are taken nevertheless.
WORK, FEWEST = 40_000_000_000, 8

Step = Callable[[str], None]


def repair(
    float_graph: Graph,
    int8_graph: Graph,
    feeds: Mapping[str, Array],
    *,
    rounding: bool = True,
    bias: bool = True,
    step: Step = lambda text: None,
) -> Graph:
    """The int8 graph with other weights and biases at the same scales.

    ``int8_graph`` was made of ``float_graph``, whose tensors have the same names; ``feeds[input]``
    is float32 of shape (samples, *shape) in the graphs' layout. Layers whose weights are used in
    another way than in sums of products (LSTM, transposed convolution) stay as they are.
    """
    count = _samples(float_graph, feeds)
    few = {name: array[:count] for name, array in feeds.items()}
    return _Repair(float_graph, int8_graph, few, rounding, bias, step).run()


def _samples(graph: Graph, feeds: Mapping[str, Array]) -> int:
    each = 5 * sum(graph.tensors[name].size for name in graph.activations())
    given = len(next(iter(feeds.values())))
    affordable = max(FEWEST, WORK // max(1, total_macs(graph)))
    return max(1, min(given, SAMPLES, affordable, MEMORY // max(1, each)))


class _Repair:
    """A walk through both graphs at once."""

    def __init__(
        self,
        float_graph: Graph,
        int8_graph: Graph,
        feeds: Mapping[str, Array],
        rounding: bool,
        bias: bool,
        step: Step,
    ) -> None:
        self.float_graph = float_graph
        self.graph = int8_graph
        self.rounding, self.bias, self.step = rounding, bias, step
        self.wanted: Values = dict(feeds)
        tensors = int8_graph.tensors
        self.codes: Values = {
            name: quantize(feeds[name], tensors[name].scale, tensors[name].zero_point)
            for name in int8_graph.inputs
        }

    def run(self) -> Graph:
        """Repair one layer after the other."""
        twins = self.float_graph.producers()
        for index, node in enumerate(self.graph.nodes):
            twin = twins.get(node.output)
            if twin is not None and operator(node.op).sums_columns:
                self.step(f"repairing {node.output}")
                self._layer(index, twin)
            self._compute(self.graph.nodes[index], twin)
            self._forget(index)
        return self.graph

    def _compute(self, node: Node, twin: Node | None) -> None:
        """What both graphs give for a node."""
        self.codes.update(run_node(run_int, self.graph, node, self.codes))
        if twin is not None:
            self.wanted.update(run_node(run_float, self.float_graph, twin, self.wanted))

    def _forget(self, index: int) -> None:
        """Drop values that no later node reads."""
        later = {name for node in self.graph.nodes[index + 1 :] for name in node.inputs}
        self.codes = {name: array for name, array in self.codes.items() if name in later}
        twins = self.float_graph.producers()
        read = {
            name
            for node in self.graph.nodes[index + 1 :]
            if node.output in twins
            for name in twins[node.output].inputs
        }
        self.wanted = {name: array for name, array in self.wanted.items() if name in read}

    def _layer(self, index: int, twin: Node) -> None:
        node = self.graph.nodes[index]
        op = operator(node.op)
        weights = self.graph.tensors[node.inputs[1]]
        exact = self.float_graph.constant(twin.inputs[1])
        assert exact is not None
        assert weights.data is not None
        scales = _along(weights, _axis(op))
        learns = self.rounding and weights.size // weights.shape[_axis(op)] <= MAX_DEPTH
        moments = self._moments(node, twin, learns)
        steps = op.filters(exact.astype(np.float64) / scales, len(moments.got))
        codes = op.filters(weights.data.astype(np.float64), len(moments.got))
        if learns:
            codes = learn_rounding(steps, moments)
            data = op.from_filters(codes, weights.shape).astype(weights.dtype)
            self._replace(index, 1, replace(weights, data=data))
        if self.bias:
            wanted = steps @ moments.wanted[:, :, None] - codes @ moments.got[:, :, None]
            self._shift(index, twin, wanted.reshape(-1) * scales.reshape(-1))

    def _moments(self, node: Node, twin: Node, has_second: bool) -> Moments:
        """The moments of what a layer and its twin read, gathered a few samples at a time."""
        op: Any = operator(node.op)
        read, should = node.inputs[0], twin.inputs[0]
        tensor, shape = self.graph.tensors[read], self.graph.tensors[node.inputs[1]].shape
        moments = Moments(has_second=has_second)
        for part in chunks(len(self.codes[read]), self.graph):
            real = dequantize(self.codes[read][part], tensor.scale, tensor.zero_point)
            moments.add(
                op.columns(node.attributes, _stacked(real), shape),
                op.columns(node.attributes, _stacked(self.wanted[should][part]), shape),
            )
        return moments

    def _shift(self, index: int, twin: Node, missing: Array) -> None:
        """Give a layer the float bias and what its sums lack besides, in real units."""
        node = self.graph.nodes[index]
        weights, x = self.graph.tensors[node.inputs[1]], self.graph.tensors[node.inputs[0]]
        assert weights.quant is not None
        steps = x.scale * np.asarray(weights.quant.scale, np.float64)
        exact = self.float_graph.constant(twin.inputs[2]) if len(twin.inputs) > 2 else None
        wanted = missing if exact is None else missing + exact.reshape(-1)
        dtype, largest = (INT64, MAX_WIDE_BIAS) if x.dtype == INT16 else (INT32, MAX_BIAS)
        codes = round_and_clamp(wanted / steps, -largest, largest).astype(dtype)
        if len(node.inputs) > 2 and node.inputs[2]:
            bias = self.graph.tensors[node.inputs[2]]
            assert bias.data is not None
            self._replace(
                index, 2, replace(bias, data=codes.reshape(bias.shape).astype(bias.dtype))
            )
            return
        scale = tuple(float(np.float32(s)) for s in steps)
        quant = QuantParams(scale, (0,) * len(scale), 0 if len(scale) > 1 else None)
        name = f"{node.output}_bias"
        self._replace(index, 2, Tensor(name, codes.shape, dtype, codes, quant))

    def _replace(self, index: int, position: int, tensor: Tensor) -> None:
        """Give a node a constant; one that other nodes read too stays theirs."""
        nodes = list(self.graph.nodes)
        node = nodes[index]
        readers = [n for n in nodes if tensor.name in n.inputs]
        if any(reader is not node for reader in readers) or (
            not readers and tensor.name in self.graph.tensors
        ):
            tensor = replace(tensor, name=unique_name(self.graph.tensors, tensor.name))
        inputs = [*node.inputs[:position], tensor.name, *node.inputs[position + 1 :]]
        nodes[index] = replace(node, inputs=tuple(inputs))
        tensors = {**self.graph.tensors, tensor.name: tensor}
        self.graph = self.graph.replace(nodes=tuple(nodes), tensors=tensors)


def _axis(op: Any) -> int:
    """That of the output channels of weights."""
    assert op.weights_axis is not None
    return int(op.weights_axis)


def _along(weights: Tensor, axis: int) -> Array:
    """float64 scales of weights, in a shape that broadcasts; one for each channel."""
    assert weights.quant is not None
    shape = [1] * len(weights.shape)
    shape[axis] = -1
    channels = weights.shape[axis]
    scales = np.broadcast_to(np.asarray(weights.quant.scale, np.float64), (channels,))
    return scales.reshape(shape)


def _stacked(samples: Array) -> Array:
    """(samples, 1, ...) as (samples, ...)."""
    return samples.reshape(len(samples) * samples.shape[1], *samples.shape[2:])
