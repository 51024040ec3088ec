"""Writes means: MEAN and ``edgecnn_mean``."""

from __future__ import annotations

from edgecnn.ir import INT16, Graph, Node
from edgecnn.ops.mean import MeanParams
from firmware_export.exporters import CLayer, Exporter
from firmware_export.reduce_layer import reduce_loops, write_reduction
from firmware_export.tflite_writer import TfliteWriter


class MeanExporter(Exporter[MeanParams]):
    """Writes mean."""

    version = 2
    wide_version = 3

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        write_reduction(node, writer, "MEAN", self.version_of(node, graph))

    def layer(self, node: Node, graph: Graph, params: MeanParams) -> CLayer:
        p = params
        loops = reduce_loops(p.input_shape, p.axes)
        if p.dtype == INT16:
            fields = {**loops, "multiplier": p.multiplier, "shift": p.shift}
            return CLayer(kernel="mean_int16", fields=fields)
        return CLayer(
            kernel="mean",
            fields={
                **loops,
                "offset": p.count * p.input_zero_point,
                "multiplier": p.multiplier,
                "shift": p.shift,
                "output_zero_point": p.output_zero_point,
            },
        )


EXPORTER = MeanExporter()
