"""Writes RESIZE_NEAREST_NEIGHBOR and ``edgecnn_resize_nearest``."""

from __future__ import annotations

import numpy as np

from edgecnn.ir import Graph, Node
from edgecnn.moves import MoveParams
from edgecnn.ops.resize_nearest import ResizeNearestAttributes, indices
from firmware_export import distances
from firmware_export.exporters import CArray, CLayer, Exporter
from firmware_export.strides import row_major
from firmware_export.tflite_writer import TfliteWriter


class ResizeNearestExporter(Exporter[MoveParams[ResizeNearestAttributes]]):
    """Writes resize_nearest."""

    version = 3

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        a = node.attributes
        assert isinstance(a, ResizeNearestAttributes)
        options = writer.schema.ResizeNearestNeighborOptionsT()
        options.alignCorners, options.halfPixelCenters = a.align_corners, a.half_pixel_centers
        size = writer.constant(f"{node.output}_size", np.array(a.size, np.int32))
        inputs, outputs = [writer.tensor(node.inputs[0]), size], [writer.tensor(node.output)]
        writer.operator("RESIZE_NEAREST_NEIGHBOR", self.version, inputs, outputs, options)

    def layer(
        self, node: Node, graph: Graph, params: MoveParams[ResizeNearestAttributes]
    ) -> CLayer:
        batch, height, width, channels = params.input_shapes[0]
        rows, columns = indices(params.attributes, params.input_shapes[0])
        images = distances.walk(params.input_shapes[0], row_major(params.input_shapes[0]))
        sources = images[:, rows][:, :, columns]
        return CLayer(
            kernel="resize_nearest",
            fields={
                "rows": CArray(rows.astype(np.int32), "input row of each output row"),
                "columns": CArray(columns.astype(np.int32), "input column of each output column"),
                "batch": batch,
                "input_height": height,
                "input_width": width,
                "output_height": params.attributes.size[0],
                "output_width": params.attributes.size[1],
                "channels": channels,
            },
            overlaps=distances.moves(sources, images.size),
        )


EXPORTER = ResizeNearestExporter()
