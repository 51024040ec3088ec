"""Writes average pooling: AVERAGE_POOL_2D and ``edgecnn_average_pool2d``."""

from __future__ import annotations

from edgecnn.ir import INT16, Graph, Node
from edgecnn.pool_operator import PoolParams
from firmware_export import distances
from firmware_export.exporters import CLayer, Exporter
from firmware_export.pool_layer import pool_layer, write_pool
from firmware_export.tflite_writer import TfliteWriter


class AveragePool2DExporter(Exporter[PoolParams]):
    """Writes average_pool2d."""

    version = 2
    wide_version = 3

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        write_pool(node, writer, "AVERAGE_POOL_2D", self.version_of(node, graph))

    def layer(self, node: Node, graph: Graph, params: PoolParams) -> CLayer:
        overlaps = distances.pooled_in_bytes(params)
        if params.dtype == INT16:
            return pool_layer("average_pool2d_int16", params, distances.of_int16(overlaps))
        return pool_layer("average_pool2d", params, overlaps)


EXPORTER = AveragePool2DExporter()
