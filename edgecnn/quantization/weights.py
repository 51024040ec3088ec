"""Quantizes constants: symmetric int8 weights, int32 biases, int8 operands."""

from __future__ import annotations

import numpy as np

from edgecnn.fixedpoint import INT8_MAX, INT32_MAX, quantize, round_and_clamp
from edgecnn.ir import INT8, INT32, Array, QuantParams, Tensor
from edgecnn.quantization.ranges import affine

#: Largest bias that is handed out, with room for the sum of products beside it.
MAX_BIAS = INT32_MAX // 2


def weight_scales(
    weights: Array, axis: int, per_channel: bool, bias: Array | None, input_scale: float
) -> Array:
    """float32 scale of each channel along ``axis`` (or one): largest magnitude over 127.

    A channel whose weights are so small that its bias, in steps of input scale times weight
    scale, would leave int32 gets the smallest scale at which the bias fits.
    """
    others = tuple(i for i in range(weights.ndim) if i != axis)
    largest = np.abs(weights.astype(np.float64)).max(axis=others)
    scales = largest / INT8_MAX
    if bias is not None:
        biases = np.abs(bias.astype(np.float64)).reshape(len(scales), -1).max(axis=1)
        scales = np.maximum(scales, biases / input_scale / MAX_BIAS)
    if not per_channel:
        scales = scales.max(keepdims=True)
    positive = scales[scales > 0]
    # A channel of zeros computes 0 at any scale; one like its neighbours' disturbs nothing.
    filler = positive.max() if positive.size else 1.0
    chosen: Array = np.where(scales > 0, scales, filler).astype(np.float32)
    return np.maximum(chosen, np.finfo(np.float32).tiny)


def quantize_weights(tensor: Tensor, axis: int, scales: Array) -> Tensor:
    """Symmetric int8 weights in [-127, 127] with one scale for all, or one along ``axis``."""
    assert tensor.data is not None
    shape = [1] * tensor.data.ndim
    if scales.size > 1:
        shape[axis] = -1
    steps = tensor.data.astype(np.float64) / scales.astype(np.float64).reshape(shape)
    data = round_and_clamp(steps, -INT8_MAX, INT8_MAX).astype(np.int8)
    return Tensor(tensor.name, tensor.shape, INT8, data, _symmetric(scales, axis))


def quantize_bias(tensor: Tensor, input_scale: float, scales: Array) -> Tensor:
    """int32 bias in steps of input scale times weight scale."""
    assert tensor.data is not None
    steps = np.float64(input_scale) * scales.astype(np.float64)
    shape = [-1] + [1] * (tensor.data.ndim - 1)
    data = round_and_clamp(tensor.data / steps.reshape(shape), -MAX_BIAS, MAX_BIAS).astype(np.int32)
    return Tensor(tensor.name, tensor.shape, INT32, data, _symmetric(steps, 0))


def quantize_operand(tensor: Tensor, quant: QuantParams | None = None) -> Tensor:
    """A constant operand as asymmetric int8 over its own range, or by given parameters."""
    assert tensor.data is not None
    if quant is None:
        quant = affine((float(tensor.data.min()), float(tensor.data.max())))
    data = quantize(tensor.data, quant.scale[0], quant.zero_point[0])
    return Tensor(tensor.name, tensor.shape, INT8, data, quant)


def _symmetric(scales: Array, axis: int) -> QuantParams:
    values = tuple(float(np.float32(s)) for s in scales)
    return QuantParams(values, (0,) * len(values), axis if len(values) > 1 else None)
