"""Writes differences: SUB and ``edgecnn_sub``."""

from __future__ import annotations

from edgecnn.binary_operator import ScaledParams
from edgecnn.ir import Graph, Node
from firmware_export.broadcast_layer import scaled_layer, write_binary
from firmware_export.exporters import CLayer, Exporter
from firmware_export.tflite_writer import TfliteWriter


class SubExporter(Exporter[ScaledParams]):
    """Writes sub."""

    version = 2
    wide_version = 5

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        options = writer.schema.SubOptionsT()
        options.potScaleInt16 = False
        write_binary("SUB", self.version_of(node, graph), node, writer, options)

    def layer(self, node: Node, graph: Graph, params: ScaledParams) -> CLayer:
        return scaled_layer("sub", params)


EXPORTER = SubExporter()
