"""What the operators that sum products of inputs and weights have in common."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from edgecnn.fixedpoint import (
    INT32_MAX,
    multiply_by_quantized_multiplier,
    multiply_by_reduced_multiplier,
    quantize_multipliers,
    scaling_overflows,
    to_int16_multiplier,
)
from edgecnn.ir import INT8, INT16, INT32, INT64, Array, Graph, Node

#: Largest magnitude of an int8 input minus its zero point.
MAX_OFFSET_INPUT = 255
#: Largest magnitude of an int16 input, which has no zero point.
MAX_WIDE_INPUT = 1 << 15
#: Products of raw bytes whose sum, and that of the zero point with as many, are sure to fit int32.
MAX_ASYMMETRIC_DEPTH = INT32_MAX // (1 << 15)
#: What TFLite's rescaling of int64 sums takes: shifts under this one, and sums under this bound.
WIDE_SHIFTS, MAX_WIDE_SUM = 8, 1 << 47


class Accumulated(Protocol):
    """Integers that end with sums of products; ``sums`` is their type, ``dtype`` the output's.

    int64 sums have a multiplier of 16 bits, see `multiply_by_reduced_multiplier`.
    """

    @property
    def multiplier(self) -> Array: ...  # noqa: D102
    @property
    def shift(self) -> Array: ...  # noqa: D102
    @property
    def output_zero_point(self) -> int: ...  # noqa: D102
    @property
    def activation_min(self) -> int: ...  # noqa: D102
    @property
    def activation_max(self) -> int: ...  # noqa: D102
    @property
    def sums(self) -> str: ...  # noqa: D102
    @property
    def dtype(self) -> str: ...  # noqa: D102


def rescaled(p: Accumulated, sums: Array) -> Array:
    """Outputs from sums of products with their bias: int8, or int16 of wide layers."""
    is_reduced = p.sums == INT64
    multiply = multiply_by_reduced_multiplier if is_reduced else multiply_by_quantized_multiplier
    steps = multiply(sums, p.multiplier, p.shift) + p.output_zero_point
    return np.clip(steps, p.activation_min, p.activation_max).astype(p.dtype)


def sum_dtype(graph: Graph, node: Node) -> str:
    """Type of the sums: int32, or int64 of int16 inputs, unless their bias is int32."""
    if graph.tensors[node.inputs[0]].dtype != INT16:
        return INT32
    bias = node.inputs[2] if len(node.inputs) > 2 else ""
    return graph.tensors[bias].dtype if bias else INT64


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
    return multipliers_of(real, sum_dtype(graph, node))


def multipliers_of(real: Array, sums: str) -> tuple[Array, Array]:
    """Multipliers, for int64 sums reduced to 16 bits, and shifts of reals, both int32."""
    multiplier, shift = quantize_multipliers(real)
    if sums == INT64:
        multiplier = np.array([to_int16_multiplier(int(m)) for m in multiplier], np.int32)
    return multiplier, shift


def bias_or_zeros(graph: Graph, node: Node, channels: int) -> Array:
    """The bias (input 2) in the type of the sums, or zeros where it is absent."""
    bias = graph.constant(node.inputs[2]) if len(node.inputs) > 2 else None
    return np.zeros(channels, sum_dtype(graph, node)) if bias is None else bias


def weights_zero_point(graph: Graph, node: Node) -> int:
    """The zero point of per-tensor weights; 0 for any others, since all runtimes ignore theirs."""
    quant = graph.tensors[node.inputs[1]].quant
    return 0 if quant is None or quant.is_per_channel else quant.zero_point[0]


def folded_bias(graph: Graph, node: Node, channel_axis: int) -> Array:
    """Bias less input zero point times the sum of each output channel's weights.

    With it the kernels multiply raw input bytes, and pad with the zero point. Exact and free of
    overflow for nodes that `weights_problem` lets pass.
    """
    weights = graph.constant(node.inputs[1])
    assert weights is not None
    axes = tuple(axis for axis in range(weights.ndim) if axis != channel_axis)
    sums = (weights.astype(np.int64) - weights_zero_point(graph, node)).sum(axis=axes)
    zero_point = graph.tensors[node.inputs[0]].zero_point
    folded = bias_or_zeros(graph, node, sums.size) - zero_point * sums
    return folded.astype(sum_dtype(graph, node))


def weights_problem(
    graph: Graph, node: Node, channel_axis: int, *, asymmetric: bool = False
) -> str | None:
    """Say why the weights of a node cannot be used, or None where they can.

    They must be constant and, as int8, symmetric (with ``asymmetric``, one zero point for all may
    differ from 0, for up to `MAX_ASYMMETRIC_DEPTH` products a sum), and the int32 sums must not be
    able to overflow, nor to do so when they are scaled. The bound is ``255 * sum(|weights|) +
    |bias|`` of each output channel, for int16 inputs with 32768 in place of 255; an overflow would
    be undefined behaviour in C and is not something that a trained network means.
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
    is_wide = x.dtype == INT16
    if zero_point and is_wide:
        return "its int8 weights have a zero point other than 0, and its input is int16"
    if zero_point and depth > MAX_ASYMMETRIC_DEPTH:
        return f"its int8 weights have a zero point other than 0 and sum {depth} products"
    offsets = np.abs(weights.data.astype(np.int64) - zero_point)
    sums = offsets.sum(axis=axes) * (MAX_WIDE_INPUT if is_wide else MAX_OFFSET_INPUT)
    largest = sums + np.abs(bias_or_zeros(graph, node, sums.size).astype(np.int64))
    multiplier, shift = output_multipliers(graph, node, sums.size)
    if sum_dtype(graph, node) == INT64:
        return _wide_sums_problem(largest, multiplier, shift)
    if np.any(largest > INT32_MAX):
        return "its int32 accumulator can overflow with these weights and biases"
    if scaling_overflows(largest, shift):
        return "its output scale is so small that rescaling overflows int32"
    return None


def _wide_sums_problem(largest: Array, multiplier: Array, shift: Array) -> str | None:
    """Say why int64 sums of up to some magnitudes cannot be rescaled, or None."""
    if np.any(largest >= MAX_WIDE_SUM):
        return "its sums can leave the 48 bits that TFLite rescales"
    shifts_far = np.any(shift >= WIDE_SHIFTS)
    if shifts_far or np.any(multiply_by_reduced_multiplier(largest, multiplier, shift) > INT32_MAX):
        return "its output scale is so small that rescaling overflows int32"
    return None
