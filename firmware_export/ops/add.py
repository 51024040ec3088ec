"""Writes sums: ADD and ``edgecnn_add``."""

from __future__ import annotations

from edgecnn.binary_operator import ScaledParams
from edgecnn.ir import Graph, Node
from firmware_export.broadcast_layer import scaled_layer, write_binary
from firmware_export.exporters import CLayer, Exporter
from firmware_export.tflite_writer import TfliteWriter


class AddExporter(Exporter[ScaledParams]):
    """Writes add."""

    version = 2
    wide_version = 3

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        options = writer.schema.AddOptionsT()
        options.potScaleInt16 = False
        write_binary("ADD", self.version_of(node, graph), node, writer, options)

    def layer(self, node: Node, graph: Graph, params: ScaledParams) -> CLayer:
        return scaled_layer("add", params)


EXPORTER = AddExporter()
