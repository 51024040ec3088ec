"""Writes maximum pooling: MAX_POOL_2D and ``edgecnn_max_pool2d``."""

from __future__ import annotations

from edgecnn.fixedpoint import INT8_MIN
from edgecnn.ir import Graph, Node
from edgecnn.pool_operator import PoolParams
from firmware_export import distances
from firmware_export.exporters import CLayer, Exporter
from firmware_export.pool_layer import pool_layer, write_pool
from firmware_export.tflite_writer import TfliteWriter


class MaxPool2DExporter(Exporter[PoolParams]):
    """Writes max_pool2d."""

    version = 2

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        write_pool(node, writer, "MAX_POOL_2D", self.version, INT8_MIN)

    def layer(self, node: Node, graph: Graph, params: PoolParams) -> CLayer:
        return pool_layer("max_pool2d", params, distances.pooled_in_bytes(params))


EXPORTER = MaxPool2DExporter()
