"""Writes broadcasts: BROADCAST_TO and ``edgecnn_broadcast_to``."""

from __future__ import annotations

import math

import numpy as np

from edgecnn.ir import Graph, Node
from edgecnn.moves import MoveParams
from edgecnn.ops.broadcast_to import BroadcastToAttributes
from firmware_export.copy_layer import copy_layer
from firmware_export.exporters import CLayer, Exporter
from firmware_export.strides import broadcast_strides
from firmware_export.tflite_writer import TfliteWriter


class BroadcastToExporter(Exporter[MoveParams[BroadcastToAttributes]]):
    """Writes broadcast_to."""

    version = 3

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        a = node.attributes
        assert isinstance(a, BroadcastToAttributes)
        shape = writer.constant(f"{node.output}_shape", np.array(a.shape, np.int32))
        inputs, outputs = [writer.tensor(node.inputs[0]), shape], [writer.tensor(node.output)]
        options = writer.schema.BroadcastToOptionsT()
        writer.operator("BROADCAST_TO", self.version, inputs, outputs, options)

    def layer(self, node: Node, graph: Graph, params: MoveParams[BroadcastToAttributes]) -> CLayer:
        shape = params.output_shapes[0]
        strides = broadcast_strides(params.input_shapes[0], len(shape))
        return copy_layer("broadcast_to", shape, strides, math.prod(params.input_shapes[0]))


EXPORTER = BroadcastToExporter()
