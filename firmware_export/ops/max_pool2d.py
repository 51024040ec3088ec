"""Writes maximum pooling: MAX_POOL_2D and ``edgecnn_max_pool2d``."""

from __future__ import annotations

from edgecnn.fixedpoint import INT8_MIN
from edgecnn.ir import Graph, Node
from edgecnn.ops.max_pool2d import MaxPool2DParams
from firmware_export.exporters import CLayer, Exporter
from firmware_export.pool_layer import pool_layer, write_pool
from firmware_export.tflite_writer import TfliteWriter


class MaxPool2DExporter(Exporter[MaxPool2DParams]):
    """Writes max_pool2d."""

    version = 2

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        write_pool(node, writer, "MAX_POOL_2D", self.version, INT8_MIN)

    def layer(self, node: Node, graph: Graph, params: MaxPool2DParams) -> CLayer:
        p = params
        limits = (p.activation_min, p.activation_max)
        return pool_layer("max_pool2d", p.input_shape, p.output_shape, p.window, limits)


EXPORTER = MaxPool2DExporter()
