"""Writes transposed convolutions: TRANSPOSE_CONV and ``edgecnn_transpose_conv2d``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgecnn.fixedpoint import INT8_MAX, INT8_MIN
from edgecnn.ir import Graph, Node, Tensor
from edgecnn.operators import activation_limits
from edgecnn.ops.transpose_conv2d import (
    TransposeConv2DAttributes,
    TransposeConv2DParams,
    whole_size,
)
from edgecnn.windows import Pair, transpose_start
from firmware_export.exporters import CArray, CLayer, Exporter
from firmware_export.tflite_writer import TfliteWriter

#: Writes an operator from a tensor of the file to another.
_Step = Callable[[int, int], None]


@dataclass(frozen=True)
class _Written:
    """How TFLite can say a transposed convolution: its mode, and the size that it computes."""

    mode: str
    size: Pair


def _spelling(a: TransposeConv2DAttributes, image: Pair, kernel: Pair) -> _Written:
    """One of TFLite's modes, or VALID with more than is wanted, to be cut off afterwards.

    The newer runtimes want the image to have the size that a convolution of the output gives.
    """
    valid = [(m + s - k) // s for m, k, s in zip(a.size, kernel, a.stride, strict=True)]
    if a.start == (0, 0) and tuple(valid) == image:
        return _Written("VALID", a.size)
    same = [-(-m // s) for m, s in zip(a.size, a.stride, strict=True)]
    if a.start == transpose_start(a.size, kernel, a.stride) and tuple(same) == image:
        return _Written("SAME", a.size)
    height, width = whole_size(a, image, kernel)
    return _Written("VALID", (height, width))


class TransposeConv2DExporter(Exporter[TransposeConv2DParams]):
    """Writes transpose_conv2d."""

    #: 3 introduced the bias; 4, which not every runtime has, the fused activation.
    version = 3

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        """What TFLite cannot say in one operator is followed by a cut, and by an activation."""
        a = node.attributes
        assert isinstance(a, TransposeConv2DAttributes)
        output = graph.tensors[node.output]
        image, kernel = (graph.tensors[name].shape[1:3] for name in node.inputs[:2])
        written = _spelling(a, (image[0], image[1]), (kernel[0], kernel[1]))
        low, high = activation_limits(a.activation, output.scale, output.zero_point)
        steps: list[_Step] = [lambda _, y: self._write(node, writer, written, y)]
        if written.size != a.size:
            steps.append(lambda x, y: self._cut(node, writer, a.start, x, y))
        if (low, high) != (INT8_MIN, INT8_MAX):
            steps.append(lambda x, y: writer.operator(a.activation.upper(), 2, [x], [y]))
        value = writer.tensor(node.inputs[0])
        for number, step in enumerate(steps, 1):
            if number == len(steps):
                result = writer.tensor(node.output)
            else:
                size = written.size if number == 1 else a.size
                shape = (1, *size, output.shape[3])
                inner = Tensor(f"{node.output}_inner", shape, "int8", None, output.quant)
                result = writer.add(inner)
            step(value, result)
            value = result

    def _write(self, node: Node, writer: TfliteWriter, written: _Written, output: int) -> None:
        a, schema = node.attributes, writer.schema
        assert isinstance(a, TransposeConv2DAttributes)
        options = schema.TransposeConvOptionsT()
        options.padding = getattr(schema.Padding, written.mode)
        options.strideH, options.strideW = a.stride
        depth = writer.graph.tensors[node.output].shape[3]
        shape = np.array((1, *written.size, depth), np.int32)
        inputs = [
            writer.constant(f"{node.output}_shape", shape),
            writer.tensor(node.inputs[1]),
            writer.tensor(node.inputs[0]),
            writer.bias(node),
        ]
        writer.operator("TRANSPOSE_CONV", self.version, inputs, [output], options)

    def _cut(self, node: Node, writer: TfliteWriter, start: Pair, x: int, output: int) -> None:
        begin = writer.constant(f"{node.output}_begin", np.array((0, *start, 0), np.int32))
        size = np.array(writer.graph.tensors[node.output].shape, np.int32)
        inputs = [x, begin, writer.constant(f"{node.output}_size", size)]
        writer.operator("SLICE", 2, inputs, [output], writer.schema.SliceOptionsT())

    def layer(self, node: Node, graph: Graph, params: TransposeConv2DParams) -> CLayer:
        p = params
        return CLayer(
            kernel="transpose_conv2d",
            fields={
                "weights": CArray(p.weights, "output channel, height, width, input channel"),
                "bias": CArray(p.bias, "output channel"),
                "multiplier": CArray(p.multiplier, "output channel"),
                "shift": CArray(p.shift.astype("int8"), "output channel"),
                "input_height": p.input_shape[1],
                "input_width": p.input_shape[2],
                "input_channels": p.input_shape[3],
                "output_height": p.output_shape[1],
                "output_width": p.output_shape[2],
                "output_channels": p.output_shape[3],
                "kernel_height": p.weights.shape[1],
                "kernel_width": p.weights.shape[2],
                "stride_height": p.stride[0],
                "stride_width": p.stride[1],
                "start_top": p.start[0],
                "start_left": p.start[1],
                "input_zero_point": p.input_zero_point,
                "output_zero_point": p.output_zero_point,
                "activation_min": p.activation_min,
                "activation_max": p.activation_max,
            },
        )


EXPORTER = TransposeConv2DExporter()
