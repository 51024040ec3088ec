"""Turns a float graph into an int8 graph by TFLite's scheme.

Weights are symmetric with a scale for each output channel, activations asymmetric with one
scale a tensor, biases int32. Source: "TensorFlow Lite 8-bit quantization specification".
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from edgecnn.errors import DataError, ModelFormatError, UserError
from edgecnn.ir import INT8, INT16, Array, Attributes, Graph, Node, QuantParams, Tensor
from edgecnn.operators import OutputRange, operator
from edgecnn.quantization.observers import Observation, internal_name, observe
from edgecnn.quantization.ranges import RANGES, Range, affine
from edgecnn.quantization.sharing import SharedRange, Sharing
from edgecnn.quantization.weights import (
    quantize_bias,
    quantize_operand,
    quantize_weights,
    weight_scales,
)
from edgecnn.quantization.wide import (
    Widened,
    quantize_wide_bias,
    quantize_wide_operand,
    shared_scale,
    widened,
)

#: Chooses the range of tensors that share one.
Choose = Callable[[SharedRange], Range]


def quantize_graph(
    graph: Graph,
    feeds: Mapping[str, Array],
    ranges: str = "mse",
    wide: Collection[str] = frozenset(),
) -> Graph:
    """Quantize a float graph with calibration data, all ranges by one method and no repair.

    ``feeds[input]`` is float32 of shape (samples, *shape) in the graph's layout; ``ranges`` is a
    name in `RANGES`. Layers whose outputs ``wide`` names are computed in 16 bits, see
    `edgecnn.quantization.wide.widened`. The graph has been through the passes. Raises `DataError`
    where the data do not fit the network, `ModelFormatError` where its own constants are not
    finite, `UserError` for an unknown choice or layer.
    """
    if ranges not in RANGES:
        raise UserError(f"the range method is '{ranges}'; it can be {', '.join(RANGES)}")
    require_data(graph, feeds)
    prepared = widened(graph, wide)
    seen = observe(prepared.graph, feeds, histograms=ranges != "minmax")
    return quantize_by(prepared, seen, lambda shared: span(shared, seen, ranges))


def quantize_by(prepared: Widened, seen: Mapping[str, Observation], choose: Choose) -> Graph:
    """Quantize a float graph by what was observed of its tensors, and a choice of int8 ranges."""
    return _Quantizer(prepared.graph, seen, choose, prepared.tensors).run()


def span(shared: SharedRange, seen: Mapping[str, Observation], method: str) -> Range:
    """The union of the ranges that a method in `RANGES` gives tensors that share one."""
    found = [RANGES[method](seen[name]) for name in shared.activations]
    found += [(float(data.min()), float(data.max())) for data in shared.constants]
    return min(low for low, _ in found), max(high for _, high in found)


def quantize_with_ranges(graph: Graph, ranges: Mapping[str, Range]) -> Graph:
    """Quantize a float graph with a given range, (low, high), of each activation.

    The graph has been through the passes. Tensors that share a range get the union of theirs.
    Raises `ModelFormatError` where the network's constants are not finite.
    """
    _require_finite_constants(graph)
    seen = {name: Observation(low, high) for name, (low, high) in ranges.items()}
    return quantize_by(Widened(graph), seen, lambda shared: span(shared, seen, "minmax"))


def require_data(graph: Graph, feeds: Mapping[str, Array]) -> None:
    """Raise where there is no sample, or where the network itself is not finite."""
    if not feeds or any(len(array) == 0 for array in feeds.values()):
        raise DataError("the calibration data hold no sample")
    _require_finite_constants(graph)


def _require_finite_constants(graph: Graph) -> None:
    for name, tensor in graph.tensors.items():
        if tensor.data is not None and not np.isfinite(tensor.data).all():
            raise ModelFormatError(f"the constant '{name}' of the network holds NaN or infinity")


class _Quantizer:
    """Builds the int8 graph node by node."""

    def __init__(
        self,
        graph: Graph,
        seen: Mapping[str, Observation],
        choose: Choose,
        wide: frozenset[str],
    ) -> None:
        self.graph = graph
        self.wide = wide
        self.seen = seen
        self.choose = choose
        self.sharing = Sharing(graph)
        self.tensors: dict[str, Tensor] = {}

    def run(self) -> Graph:
        """Quantize inputs, then each node in execution order."""
        for name in self.graph.inputs:
            self._activation(name, self._calibrated(name))
        nodes = tuple(
            n for node in self.graph.nodes for n in (*self._rescaled(node), self._node(node))
        )
        return self.graph.replace(nodes=nodes, tensors=self.tensors)

    def _calibrated(self, name: str) -> QuantParams:
        """Scale and zero point of all tensors that share a range with one."""
        shared = self.sharing.ranged(name)
        if name in self.wide:
            return shared_scale(shared, self.seen)
        return affine(self.choose(shared))

    def _rescaled(self, node: Node) -> tuple[Node, ...]:
        """Requantize the inputs of a node whose own scale is fixed and not the shared one."""
        return tuple(self._requantize(node, position) for position in self.sharing.rescaled(node))

    def _requantize(self, node: Node, position: int) -> Node:
        source, name = node.inputs[position], self.sharing.rescaled_name(node, position)
        shape = self.graph.tensors[source].shape
        quant = self._calibrated(node.output)
        dtype = INT16 if node.output in self.wide else INT8
        self.tensors[name] = Tensor(name, shape, dtype, None, quant)
        return Node("requantize", (source,), (name,), operator("requantize").attributes())

    def _activation(self, name: str, quant: QuantParams | None, dtype: str = INT8) -> None:
        self.tensors[name] = Tensor(name, self.graph.tensors[name].shape, dtype, None, quant)

    def _output_quant(self, node: Node, inputs: tuple[str, ...], name: str) -> QuantParams | None:
        """Scale and zero point of an output by the operator's rule; None for plain integers."""
        op = operator(node.op)
        if op.output_dtype != INT8:
            return None
        if op.output_range in (OutputRange.SAME_AS_INPUT, OutputRange.SHARED):
            return self.tensors[inputs[0]].quant
        if op.output_range is OutputRange.FIXED:
            return op.fixed_wide_output if name in self.wide else op.fixed_output
        return self._calibrated(name)

    def _node(self, node: Node) -> Node:
        op = operator(node.op)
        inputs = self._weighted(node) if op.weights_axis is not None else self._operands(node)
        for name in node.outputs:
            dtype = INT16 if name in self.wide else op.output_dtype
            self._activation(name, self._output_quant(node, inputs, name), dtype)
        return Node(node.op, inputs, node.outputs, self._attributes(node))

    def _attributes(self, node: Node) -> Attributes:
        """Attributes with what the operator takes from the ranges of its internal values."""
        prefix = internal_name(node.output, "")
        ranges = {
            name.removeprefix(prefix): (seen.low, seen.high)
            for name, seen in self.seen.items()
            if name.startswith(prefix)
        }
        changed: Attributes = operator(node.op).with_internal_ranges(node.attributes, ranges)
        return changed

    def _weighted(self, node: Node) -> tuple[str, ...]:
        """Quantize weights and bias; a constant that several nodes share may split in two."""
        op: Any = operator(node.op)
        is_wide, names = node.output in self.wide, list(node.inputs)
        input_scale = self.tensors[names[0]].scale
        for position, bias_position in op.weight_biases.items():
            weights = self.graph.tensors[names[position]]
            has_bias = bias_position is not None and any(names[bias_position : bias_position + 1])
            bias = self.graph.tensors[names[bias_position]] if has_bias else None
            assert weights.data is not None
            bias_data = None if bias is None or is_wide else bias.data  # int64 holds any bias
            scales = weight_scales(
                weights.data, op.weights_axis, op.per_channel, bias_data, input_scale
            )
            names[position] = self._constant(quantize_weights(weights, op.weights_axis, scales))
            if bias is not None:
                as_codes = quantize_wide_bias if is_wide else quantize_bias
                names[bias_position] = self._constant(as_codes(bias, input_scale, scales))
        return tuple(names)

    def _operands(self, node: Node) -> tuple[str, ...]:
        return tuple(self._operand(node, i, name) for i, name in enumerate(node.inputs))

    def _operand(self, node: Node, position: int, name: str) -> str:
        if position in self.sharing.rescaled(node):
            return self.sharing.rescaled_name(node, position)
        if self.graph.is_activation(name) or not name:
            return name
        shared = operator(node.op).output_range is OutputRange.SHARED
        quant = self._calibrated(node.output) if shared else None
        as_codes = quantize_wide_operand if node.output in self.wide else quantize_operand
        return self._constant(as_codes(self.graph.tensors[name], quant))

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
