"""Writes RESIZE_BILINEAR and ``edgecnn_resize_bilinear``."""

from __future__ import annotations

import numpy as np

from edgecnn.ir import Graph, Node
from edgecnn.ops.resize_bilinear import ResizeBilinearAttributes, ResizeBilinearParams, Taps
from firmware_export.exporters import CArray, CLayer, Exporter
from firmware_export.tflite_writer import TfliteWriter


def _table(taps: Taps) -> CArray:
    table = np.stack([taps.first, taps.second, taps.distance], axis=1).astype(np.int32)
    return CArray(table, "for each output: first and second input, distance in 1/1024")


class ResizeBilinearExporter(Exporter[ResizeBilinearParams]):
    """Writes resize_bilinear."""

    version = 3

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        a = node.attributes
        assert isinstance(a, ResizeBilinearAttributes)
        options = writer.schema.ResizeBilinearOptionsT()
        options.alignCorners, options.halfPixelCenters = a.align_corners, a.half_pixel_centers
        size = writer.constant(f"{node.output}_size", np.array(a.size, np.int32))
        inputs, outputs = [writer.tensor(node.inputs[0]), size], [writer.tensor(node.output)]
        writer.operator("RESIZE_BILINEAR", self.version, inputs, outputs, options)

    def layer(self, node: Node, graph: Graph, params: ResizeBilinearParams) -> CLayer:
        batch, height, width, channels = params.input_shape
        return CLayer(
            kernel="resize_bilinear",
            fields={
                "rows": _table(params.rows),
                "columns": _table(params.columns),
                "batch": batch,
                "input_height": height,
                "input_width": width,
                "output_height": params.output_shape[1],
                "output_width": params.output_shape[2],
                "channels": channels,
            },
        )


EXPORTER = ResizeBilinearExporter()
