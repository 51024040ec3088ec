"""Writes minimum: MINIMUM and ``edgecnn_minimum``."""

from __future__ import annotations

from edgecnn.binary_operator import BinaryParams
from edgecnn.ir import Graph, Node
from firmware_export.broadcast_layer import broadcast_layer, write_binary
from firmware_export.exporters import CLayer, Exporter
from firmware_export.tflite_writer import TfliteWriter


class MinimumExporter(Exporter[BinaryParams]):
    """Writes minimum."""

    version = 2

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        options = writer.schema.MaximumMinimumOptionsT()
        write_binary("MINIMUM", self.version, node, writer, options)

    def layer(self, node: Node, graph: Graph, params: BinaryParams) -> CLayer:
        return broadcast_layer("minimum", params, {})


EXPORTER = MinimumExporter()
