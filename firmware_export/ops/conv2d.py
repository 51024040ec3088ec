"""Writes convolutions: CONV_2D and ``edgecnn_conv2d``."""

from __future__ import annotations

import math

from edgecnn.ir import Graph, Node
from edgecnn.ops.conv2d import Conv2DParams
from firmware_export import distances
from firmware_export.convolution_layer import convolution_fields, write_convolution
from firmware_export.exporters import CLayer, Exporter
from firmware_export.tflite_writer import TfliteWriter


class Conv2DExporter(Exporter[Conv2DParams]):
    """Writes conv2d."""

    version = 3

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        options = writer.schema.Conv2DOptionsT()
        write_convolution(node, writer, "CONV_2D", self.version, options)

    def layer(self, node: Node, graph: Graph, params: Conv2DParams) -> CLayer:
        layout = "output channel, height, width, input channel"
        depth, filters = (
            shape[3] // params.groups for shape in (params.input_shape, params.output_shape)
        )
        firsts, _ = distances.parts(params.input_shape[3], depth)
        _, ends = distances.parts(params.output_shape[3], filters)
        return CLayer(
            kernel="conv2d",
            fields={
                **convolution_fields(params, layout, "output channel"),
                "output_channels": params.output_shape[3],
                "groups": params.groups,
            },
            scratch_bytes=math.prod(params.weights.shape[1:]),
            takes_scratch=True,
            overlaps=distances.convolution(params).in_parts(firsts, ends),
        )


EXPORTER = Conv2DExporter()
