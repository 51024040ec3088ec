"""What the exporters of convolution and depthwise convolution have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgecnn.accumulate import sum_dtype
from edgecnn.convolution_operator import ConvolutionAttributes, ConvolutionParams, window_of
from edgecnn.ir import INT16, INT32, INT64, Node
from firmware_export.exporters import CArray, FieldValue
from firmware_export.tflite_writer import TfliteWriter

#: The version of CONV_2D that has a type for the bias of int16 layers.
INT32_BIAS_VERSION = 8
#: Fields of ``edgecnn_wide_channels``.
_OF_CHANNELS = {
    "bias", "multiplier", "shift", "per_channel", "has_32_bit_sums", "activation_min",
    "activation_max",
}  # fmt: skip


def write_convolution(
    node: Node, writer: TfliteWriter, code: str, version: int, options: Any
) -> None:
    """Append CONV_2D or DEPTHWISE_CONV_2D; ``options`` get all that both have."""
    a, graph = node.attributes, writer.graph
    assert isinstance(a, ConvolutionAttributes)
    window = window_of(a, graph.tensors[node.inputs[1]].shape)
    image, padding = writer.windowed_input(node.inputs[0], window)
    values = {
        "padding": padding,
        "strideH": a.stride[0],
        "strideW": a.stride[1],
        "dilationHFactor": a.dilation[0],
        "dilationWFactor": a.dilation[1],
        "fusedActivationFunction": writer.activation(a.activation),
    }
    for name, value in values.items():
        setattr(options, name, value)
    if graph.is_wide(node) and sum_dtype(graph, node) == INT32:
        options.quantizedBiasType = writer.schema.TensorType.INT32
        version = INT32_BIAS_VERSION
    inputs = [image, writer.tensor(node.inputs[1]), writer.bias(node)]
    writer.operator(code, version, inputs, [writer.tensor(node.output)], options)


def convolution_fields(
    params: ConvolutionParams, weights_layout: str, channels: str
) -> dict[str, FieldValue]:
    """The fields that the kernels of both have; ``channels`` is what their layout is called."""
    p = params
    is_wide = p.dtype == INT16
    fields = {
        "weights": CArray(p.weights, weights_layout),
        "bias": CArray(p.bias.astype(INT64) if is_wide else p.bias, channels),
        "multiplier": CArray(p.multiplier, channels),
        "shift": CArray(p.shift.astype("int8"), channels),
        **window_fields(p),
    }
    return wide_fields(fields, p.sums) if is_wide else fields


def wide_fields(fields: Mapping[str, FieldValue], sums: str) -> dict[str, FieldValue]:
    """The fields of a kernel on int16, without zero points, from those of the one on int8."""
    kept = {name: value for name, value in fields.items() if not name.endswith("zero_point")}
    kept = {"per_channel": 1, **kept, "has_32_bit_sums": int(sums == INT32)}
    return {f"channels.{n}" if n in _OF_CHANNELS else n: value for n, value in kept.items()}


def window_fields(params: ConvolutionParams) -> dict[str, FieldValue]:
    """Sizes of image and window, zero points and clamping: plain integers."""
    p = params
    return {
        "input_height": p.input_shape[1],
        "input_width": p.input_shape[2],
        "input_channels": p.input_shape[3],
        "output_height": p.output_shape[1],
        "output_width": p.output_shape[2],
        "kernel_height": p.weights.shape[1],
        "kernel_width": p.weights.shape[2],
        "stride_height": p.stride[0],
        "stride_width": p.stride[1],
        "pad_top": p.padding[0],
        "pad_left": p.padding[2],
        "dilation_height": p.dilation[0],
        "dilation_width": p.dilation[1],
        "input_zero_point": p.input_zero_point,
        "output_zero_point": p.output_zero_point,
        "activation_min": p.activation_min,
        "activation_max": p.activation_max,
    }
