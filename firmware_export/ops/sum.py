"""Writes sums over axes: SUM and ``edgecnn_sum``."""

from __future__ import annotations

from edgecnn.ir import Graph, Node
from edgecnn.ops.sum import SumParams
from firmware_export.exporters import CLayer, Exporter
from firmware_export.reduce_layer import reduce_loops, write_reduction
from firmware_export.tflite_writer import TfliteWriter


class SumExporter(Exporter[SumParams]):
    """Writes sum."""

    version = 2

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        write_reduction(node, writer, "SUM", self.version)

    def layer(self, node: Node, graph: Graph, params: SumParams) -> CLayer:
        p = params
        return CLayer(
            kernel="sum",
            fields={
                **reduce_loops(p.input_shape, p.axes),
                "offset": p.count * p.input_zero_point,
                "multiplier": p.multiplier,
                "shift": p.shift,
                "output_zero_point": p.output_zero_point,
            },
        )


EXPORTER = SumExporter()
