"""What the operators that sum products of inputs and weights have in common."""

from __future__ import annotations

import numpy as np

from edgecnn.fixedpoint import INT32_MAX, quantize_multipliers, scaling_overflows
from edgecnn.ir import INT8, Array, Graph, Node

#: Largest magnitude of an int8 input minus its zero point.
MAX_OFFSET_INPUT = 255
#: Products of raw bytes whose sum, and that of the zero point with as many, are sure to fit int32.
MAX_ASYMMETRIC_DEPTH = INT32_MAX // (1 << 15)


def weight_scales(graph: Graph, node: Node, channels: int) -> Array:
    """float64 scale of the weights (input 1) of each output channel."""
    quant = graph.tensors[node.inputs[1]].quant
    assert quant is not None
    return np.broadcast_to(np.asarray(quant.scale, np.float64), (channels,))


def output_multipliers(graph: Graph, node: Node, channels: int) -> tuple[Array, Array]:
    """Multiplier and shift of each output channel, both int32.

    ``double(input scale) * double(weight scale) / double(output scale)``: TFLite's
    ``PopulateConvolutionQuantizationParams``.
    """
    scales = weight_scales(graph, node, channels)
    real = graph.tensors[node.inputs[0]].scale * scales / graph.tensors[node.output].scale
    return quantize_multipliers(real)


def bias_or_zeros(graph: Graph, node: Node, channels: int) -> Array:
    """The int32 bias (input 2), or zeros where it is absent."""
    bias = graph.constant(node.inputs[2]) if len(node.inputs) > 2 else None
    return np.zeros(channels, np.int32) if bias is None else bias


def weights_zero_point(graph: Graph, node: Node) -> int:
    """The zero point of per-tensor weights; 0 for any others, since all runtimes ignore theirs."""
    quant = graph.tensors[node.inputs[1]].quant
    return 0 if quant is None or quant.is_per_channel else quant.zero_point[0]


def folded_bias(graph: Graph, node: Node, channel_axis: int) -> Array:
    """int32 bias less input zero point times the sum of each output channel's weights.

    With it the kernels multiply raw input bytes, and pad with the zero point. Exact and free of
    overflow for nodes that `weights_problem` lets pass.
    """
    weights = graph.constant(node.inputs[1])
    assert weights is not None
    axes = tuple(axis for axis in range(weights.ndim) if axis != channel_axis)
    sums = (weights.astype(np.int64) - weights_zero_point(graph, node)).sum(axis=axes)
    zero_point = graph.tensors[node.inputs[0]].zero_point
    return (bias_or_zeros(graph, node, sums.size) - zero_point * sums).astype(np.int32)


def weights_problem(
    graph: Graph, node: Node, channel_axis: int, *, asymmetric: bool = False
) -> str | None:
    """Say why the weights of a node cannot be used, or None where they can.

    They must be constant and, as int8, symmetric (with ``asymmetric``, one zero point for all may
    differ from 0, for up to `MAX_ASYMMETRIC_DEPTH` products a sum), and the int32 sums must not be
    able to overflow, nor to do so when they are scaled. The bound is ``255 * sum(|weights|) +
    |bias|`` of each output channel; an overflow would be undefined behaviour in C and is not
    something that a trained network means.
    """
    weights = graph.tensors[node.inputs[1]]
    x = graph.tensors[node.inputs[0]]
    if len(weights.shape) == 4 and x.shape[0] != 1:
        return f"its batch is {x.shape[0]}; it must be 1"
    if weights.data is None:
        return "its weights are computed by the network; they must be constant"
    if weights.dtype != INT8:
        return None
    zero_point = weights_zero_point(graph, node)
    axes = tuple(axis for axis in range(weights.data.ndim) if axis != channel_axis)
    depth = weights.data.size // weights.data.shape[channel_axis]
    if weights.quant is None or (any(weights.quant.zero_point) and not (asymmetric and zero_point)):
        return "its int8 weights have a zero point other than 0"
    if zero_point and depth > MAX_ASYMMETRIC_DEPTH:
        return f"its int8 weights have a zero point other than 0 and sum {depth} products"
    offsets = np.abs(weights.data.astype(np.int64) - zero_point)
    sums = offsets.sum(axis=axes) * MAX_OFFSET_INPUT
    bias = bias_or_zeros(graph, node, sums.size).astype(np.int64)
    if np.any(sums + np.abs(bias) > INT32_MAX):
        return "its int32 accumulator can overflow with these weights and biases"
    _, shift = output_multipliers(graph, node, sums.size)
    if scaling_overflows(sums + np.abs(bias), shift):
        return "its output scale is so small that rescaling overflows int32"
    return None
