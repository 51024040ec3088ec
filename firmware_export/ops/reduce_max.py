"""Writes maximum over axes: REDUCE_MAX and ``edgecnn_reduce_max``."""

from __future__ import annotations

from edgecnn.ir import Graph, Node
from edgecnn.moves import MoveParams
from edgecnn.ops.reduce_max import ReduceMaxAttributes
from firmware_export.exporters import CLayer, Exporter
from firmware_export.reduce_layer import reduce_loops, write_reduction
from firmware_export.tflite_writer import TfliteWriter


class ReduceMaxExporter(Exporter[MoveParams[ReduceMaxAttributes]]):
    """Writes reduce_max."""

    version = 2

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        write_reduction(node, writer, "REDUCE_MAX", self.version)

    def layer(self, node: Node, graph: Graph, params: MoveParams[ReduceMaxAttributes]) -> CLayer:
        axes = params.attributes.axes
        return CLayer(kernel="reduce_max", fields=reduce_loops(params.input_shapes[0], axes))


EXPORTER = ReduceMaxExporter()
