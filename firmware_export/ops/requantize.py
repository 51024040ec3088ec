"""Writes requantization: QUANTIZE, and ``edgecnn_table`` or ``edgecnn_requantize_…``."""

from __future__ import annotations

import numpy as np

from edgecnn.ir import Graph, Node
from edgecnn.ops.requantize import RequantizeParams
from edgecnn.table_operator import TableParams
from firmware_export import distances
from firmware_export.exporters import CLayer, Exporter
from firmware_export.table_layer import table_layer
from firmware_export.tflite_writer import TfliteWriter


class RequantizeExporter(Exporter[TableParams | RequantizeParams]):
    """Writes requantize."""

    version = 2
    wide_version = 2

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        inputs, outputs = [writer.tensor(node.inputs[0])], [writer.tensor(node.output)]
        options = writer.schema.QuantizeOptionsT()
        writer.operator("QUANTIZE", self.version_of(node, graph), inputs, outputs, options)

    def layer(self, node: Node, graph: Graph, params: TableParams | RequantizeParams) -> CLayer:
        if isinstance(params, TableParams):
            return table_layer(params)
        p = params
        read, written = (np.dtype(dtype).itemsize for dtype in (p.input_dtype, p.output_dtype))
        places = np.arange(p.size)
        return CLayer(
            kernel=f"requantize_{8 * read}_to_{8 * written}",
            fields={
                "size": p.size,
                "multiplier": p.multiplier,
                "shift": p.shift,
                "input_zero_point": p.input_zero_point,
                "output_zero_point": p.output_zero_point,
            },
            overlaps=distances.overlaps(read * places, written * (places + 1), read * p.size),
        )


EXPORTER = RequantizeExporter()
