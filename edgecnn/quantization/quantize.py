"""Turns a float graph into an int8 graph by TFLite's scheme.

Weights are symmetric with a scale for each output channel, activations asymmetric with one
scale a tensor, biases int32. Source: "TensorFlow Lite 8-bit quantization specification".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgecnn.errors import DataError, ModelFormatError, UserError
from edgecnn.ir import INT8, Array, Graph, Node, QuantParams, Tensor
from edgecnn.operators import OutputRange, operator
from edgecnn.quantization.observers import Observation, observe
from edgecnn.quantization.ranges import RANGES, affine
from edgecnn.quantization.weights import (
    quantize_bias,
    quantize_operand,
    quantize_weights,
    weight_scales,
)


def quantize_graph(graph: Graph, feeds: Mapping[str, Array], ranges: str = "mse") -> Graph:
    """Quantize a float graph with calibration data.

    ``feeds[input]`` is float32 of shape (samples, *shape) in the graph's layout; ``ranges`` is
    ``"minmax"`` or ``"mse"``. The graph has been through the passes. Raises `DataError` where
    the data do not fit the network, `ModelFormatError` where its own constants are not finite,
    `UserError` for an unknown choice.
    """
    if ranges not in RANGES:
        raise UserError(f"--ranges is '{ranges}'; it can be {' or '.join(RANGES)}")
    if not feeds or any(len(array) == 0 for array in feeds.values()):
        raise DataError("the calibration data hold no sample")
    _require_finite_constants(graph)
    seen = observe(graph, feeds, histograms=ranges == "mse")
    return _Quantizer(graph, seen, ranges).run()


def _require_finite_constants(graph: Graph) -> None:
    for name, tensor in graph.tensors.items():
        if tensor.data is not None and not np.isfinite(tensor.data).all():
            raise ModelFormatError(f"the constant '{name}' of the network holds NaN or infinity")


class _Quantizer:
    """Builds the int8 graph node by node."""

    def __init__(self, graph: Graph, seen: Mapping[str, Observation], ranges: str) -> None:
        self.graph = graph
        self.seen = seen
        self.choose = RANGES[ranges]
        self.tensors: dict[str, Tensor] = {}

    def run(self) -> Graph:
        """Quantize inputs, then each node in execution order."""
        for name in self.graph.inputs:
            self._activation(name, self._calibrated(name))
        nodes = tuple(self._node(node) for node in self.graph.nodes)
        return self.graph.replace(nodes=nodes, tensors=self.tensors)

    def _calibrated(self, name: str) -> QuantParams:
        return affine(self.choose(self.seen[name]))

    def _activation(self, name: str, quant: QuantParams) -> None:
        self.tensors[name] = Tensor(name, self.graph.tensors[name].shape, INT8, None, quant)

    def _node(self, node: Node) -> Node:
        op = operator(node.op)
        inputs = self._weighted(node) if op.weights_axis is not None else self._operands(node)
        if op.output_range is OutputRange.SAME_AS_INPUT:
            quant = self.tensors[inputs[0]].quant
        elif op.output_range is OutputRange.FIXED:
            quant = op.fixed_output
        else:
            quant = self._calibrated(node.output)
        assert quant is not None
        for name in node.outputs:
            self._activation(name, quant)
        return Node(node.op, inputs, node.outputs, node.attributes)

    def _weighted(self, node: Node) -> tuple[str, ...]:
        """Quantize weights and bias; a constant that several nodes share may split in two."""
        op: Any = operator(node.op)
        names = list(node.inputs)
        weights = self.graph.tensors[names[1]]
        bias = self.graph.tensors[names[2]] if len(names) > 2 and names[2] else None
        assert weights.data is not None
        input_scale = self.tensors[names[0]].scale
        bias_data = None if bias is None else bias.data
        scales = weight_scales(
            weights.data, op.weights_axis, op.per_channel, bias_data, input_scale
        )
        names[1] = self._constant(quantize_weights(weights, op.weights_axis, scales))
        if bias is not None:
            names[2] = self._constant(quantize_bias(bias, input_scale, scales))
        return tuple(names)

    def _operands(self, node: Node) -> tuple[str, ...]:
        return tuple(
            name
            if self.graph.is_activation(name) or not name
            else self._constant(quantize_operand(self.graph.tensors[name]))
            for name in node.inputs
        )

    def _constant(self, tensor: Tensor) -> str:
        """Enter a quantized constant under its own name, or a numbered one if that differs."""
        name, number = tensor.name, 1
        while name in self.tensors or (number > 1 and name in self.graph.tensors):
            if name in self.tensors and _same(self.tensors[name], tensor):
                return name
            name, number = f"{tensor.name}_{number}", number + 1
        self.tensors[name] = Tensor(name, tensor.shape, tensor.dtype, tensor.data, tensor.quant)
        return name


def _same(a: Tensor, b: Tensor) -> bool:
    """Whether two constants hold the same integers for the same reals."""
    if a.data is None or b.data is None or a.quant != b.quant:
        return False
    return np.array_equal(a.data, b.data)
