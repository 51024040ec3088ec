"""Writes depthwise convolutions: DEPTHWISE_CONV_2D and ``edgecnn_depthwise_conv2d``."""

from __future__ import annotations

from edgecnn.ir import INT16, Graph, Node
from edgecnn.ops.depthwise_conv2d import DepthwiseConv2DParams
from firmware_export import distances
from firmware_export.convolution_layer import convolution_fields, write_convolution
from firmware_export.exporters import CLayer, Exporter
from firmware_export.tflite_writer import TfliteWriter

#: Channels that the kernel computes together: ``EDGECNN_BLOCK``.
BLOCK = 16


class DepthwiseConv2DExporter(Exporter[DepthwiseConv2DParams]):
    """Writes depthwise_conv2d."""

    version = 3
    wide_version = 5

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        image, weights = (graph.tensors[name].shape for name in node.inputs[:2])
        options = writer.schema.DepthwiseConv2DOptionsT()
        options.depthMultiplier = weights[3] // image[3]
        version = self.version_of(node, graph)
        write_convolution(node, writer, "DEPTHWISE_CONV_2D", version, options)

    def layer(self, node: Node, graph: Graph, params: DepthwiseConv2DParams) -> CLayer:
        multiplier = params.weights.shape[3] // params.input_shape[3]
        is_wide = params.dtype == INT16
        firsts, ends = distances.parts(params.weights.shape[3], 1 if is_wide else BLOCK)
        overlaps = distances.convolution(params).in_parts(
            [first // multiplier for first in firsts], ends
        )
        return CLayer(
            kernel="depthwise_conv2d_int16" if is_wide else "depthwise_conv2d",
            fields={
                **convolution_fields(params, "1, height, width, channel", "channel"),
                "depth_multiplier": multiplier,
            },
            overlaps=distances.of_int16(overlaps) if is_wide else overlaps,
        )


EXPORTER = DepthwiseConv2DExporter()
