"""Writes convolutions: CONV_2D and ``edgecnn_conv2d``."""

from __future__ import annotations

from edgecnn.ir import Graph, Node
from edgecnn.ops.conv2d import Conv2DAttributes, Conv2DParams, window_of
from firmware_export.exporters import CArray, CLayer, Exporter
from firmware_export.tflite_writer import TfliteWriter


class Conv2DExporter(Exporter[Conv2DParams]):
    """Writes conv2d."""

    version = 3

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        a = node.attributes
        assert isinstance(a, Conv2DAttributes)
        window = window_of(a, graph.tensors[node.inputs[1]].shape)
        image, padding = writer.windowed_input(node.inputs[0], window)
        options = writer.schema.Conv2DOptionsT()
        options.padding = padding
        options.strideH, options.strideW = a.stride
        options.dilationHFactor, options.dilationWFactor = a.dilation
        options.fusedActivationFunction = writer.activation(a.activation)
        inputs = [image, writer.tensor(node.inputs[1]), writer.bias(node)]
        writer.operator("CONV_2D", self.version, inputs, [writer.tensor(node.output)], options)

    def layer(self, node: Node, graph: Graph, params: Conv2DParams) -> CLayer:
        p = params
        kernel_height, kernel_width, depth = p.weights.shape[1:]
        return CLayer(
            kernel="conv2d",
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
                "kernel_height": kernel_height,
                "kernel_width": kernel_width,
                "stride_height": p.stride[0],
                "stride_width": p.stride[1],
                "pad_top": p.padding[0],
                "pad_left": p.padding[2],
                "dilation_height": p.dilation[0],
                "dilation_width": p.dilation[1],
                "groups": p.groups,
                "input_zero_point": p.input_zero_point,
                "output_zero_point": p.output_zero_point,
                "activation_min": p.activation_min,
                "activation_max": p.activation_max,
            },
            scratch_bytes=kernel_height * kernel_width * depth,
            takes_scratch=True,
        )


EXPORTER = Conv2DExporter()
