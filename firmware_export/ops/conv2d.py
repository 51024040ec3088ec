"""Writes convolutions: CONV_2D and ``edgecnn_conv2d``."""

from __future__ import annotations

import math

from edgecnn.ir import INT16, Graph, Node
from edgecnn.ops.conv2d import Conv2DParams
from firmware_export import distances
from firmware_export.convolution_layer import convolution_fields, write_convolution
from firmware_export.exporters import CLayer, Exporter, FieldValue
from firmware_export.tflite_writer import TfliteWriter


class Conv2DExporter(Exporter[Conv2DParams]):
    """Writes conv2d."""

    version = 3
    wide_version = 4

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        options = writer.schema.Conv2DOptionsT()
        write_convolution(node, writer, "CONV_2D", self.version_of(node, graph), options)

    def layer(self, node: Node, graph: Graph, params: Conv2DParams) -> CLayer:
        layout = "output channel, height, width, input channel"
        depth, filters = (
            shape[3] // params.groups for shape in (params.input_shape, params.output_shape)
        )
        fields: dict[str, FieldValue] = {
            **convolution_fields(params, layout, "output channel"),
            "output_channels": params.output_shape[3],
            "groups": params.groups,
        }
        firsts, _ = distances.parts(params.input_shape[3], depth)
        _, ends = distances.parts(params.output_shape[3], filters)
        overlaps = distances.convolution(params).in_parts(firsts, ends)
        taps = math.prod(params.weights.shape[1:])
        if params.dtype == INT16:
            wide = distances.of_int16(overlaps)
            return CLayer("conv2d_int16", fields, scratch_bytes=2 * taps, overlaps=wide)
        return CLayer(
            kernel="conv2d",
            fields=fields,
            scratch_bytes=taps,
            takes_scratch=True,
            overlaps=overlaps,
        )


EXPORTER = Conv2DExporter()
