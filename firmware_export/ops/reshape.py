"""Writes reshapes: RESHAPE; in C they are only another name for the same bytes."""

from __future__ import annotations

from edgecnn.ir import Graph, Node
from edgecnn.ops.reshape import ReshapeParams
from firmware_export.exporters import Exporter
from firmware_export.tflite_writer import TfliteWriter


class ReshapeExporter(Exporter[ReshapeParams]):
    """Writes reshape."""

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        writer.reshape(writer.tensor(node.inputs[0]), node.output)


EXPORTER = ReshapeExporter()
