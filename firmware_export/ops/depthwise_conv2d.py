"""Writes depthwise convolutions: DEPTHWISE_CONV_2D and ``edgecnn_depthwise_conv2d``."""

from __future__ import annotations

from edgecnn.ir import Graph, Node
from edgecnn.ops.depthwise_conv2d import DepthwiseConv2DAttributes, DepthwiseConv2DParams
from edgecnn.windows import Window
from firmware_export.exporters import CArray, CLayer, Exporter
from firmware_export.tflite_writer import TfliteWriter


class DepthwiseConv2DExporter(Exporter[DepthwiseConv2DParams]):
    """Writes depthwise_conv2d."""

    version = 3

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        a = node.attributes
        assert isinstance(a, DepthwiseConv2DAttributes)
        weights = graph.tensors[node.inputs[1]].shape
        window = Window((weights[1], weights[2]), a.stride, a.padding, a.dilation)
        image, padding = writer.windowed_input(node.inputs[0], window)
        options = writer.schema.DepthwiseConv2DOptionsT()
        options.padding = padding
        options.strideH, options.strideW = a.stride
        options.dilationHFactor, options.dilationWFactor = a.dilation
        options.depthMultiplier = weights[3] // graph.tensors[node.inputs[0]].shape[3]
        options.fusedActivationFunction = writer.activation(a.activation)
        inputs = [image, writer.tensor(node.inputs[1]), writer.bias(node)]
        outputs = [writer.tensor(node.output)]
        writer.operator("DEPTHWISE_CONV_2D", self.version, inputs, outputs, options)

    def layer(self, node: Node, graph: Graph, params: DepthwiseConv2DParams) -> CLayer:
        p = params
        _, kernel_height, kernel_width, outputs = p.weights.shape
        return CLayer(
            kernel="depthwise_conv2d",
            fields={
                "weights": CArray(p.weights, "1, height, width, channel"),
                "bias": CArray(p.bias, "channel"),
                "multiplier": CArray(p.multiplier, "channel"),
                "shift": CArray(p.shift.astype("int8"), "channel"),
                "input_height": p.input_shape[1],
                "input_width": p.input_shape[2],
                "input_channels": p.input_shape[3],
                "output_height": p.output_shape[1],
                "output_width": p.output_shape[2],
                "depth_multiplier": outputs // p.input_shape[3],
                "kernel_height": kernel_height,
                "kernel_width": kernel_width,
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
            },
        )


EXPORTER = DepthwiseConv2DExporter()
