"""Writes minimum over axes: REDUCE_MIN and ``edgecnn_reduce_min``."""

from __future__ import annotations

from edgecnn.ir import Graph, Node
from edgecnn.moves import MoveParams
from edgecnn.ops.reduce_min import ReduceMinAttributes
from firmware_export.exporters import CLayer, Exporter
from firmware_export.reduce_layer import reduce_loops, write_reduction
from firmware_export.tflite_writer import TfliteWriter


class ReduceMinExporter(Exporter[MoveParams[ReduceMinAttributes]]):
    """Writes reduce_min."""

    version = 2

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        write_reduction(node, writer, "REDUCE_MIN", self.version)

    def layer(self, node: Node, graph: Graph, params: MoveParams[ReduceMinAttributes]) -> CLayer:
        axes = params.attributes.axes
        return CLayer(kernel="reduce_min", fields=reduce_loops(params.input_shapes[0], axes))


EXPORTER = ReduceMinExporter()
