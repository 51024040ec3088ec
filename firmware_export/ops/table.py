"""Writes tables: CAST, ADD and GATHER, and ``edgecnn_table``."""

from __future__ import annotations

import numpy as np

from edgecnn.fixedpoint import INT8_MIN
from edgecnn.ir import INT32, Graph, Node, Tensor
from edgecnn.operators import Dialect, operator
from firmware_export.table_layer import TableExporter
from firmware_export.tflite_writer import TfliteWriter


class TableOpExporter(TableExporter):
    """Writes table: the bytes become indices from 0 to 255, which gather from a constant."""

    version = 2

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        schema, types = writer.schema, writer.schema.TensorType
        x, output = graph.tensors[node.inputs[0]], graph.tensors[node.output]
        cast = schema.CastOptionsT()
        cast.inDataType, cast.outDataType = types.INT8, types.INT32
        wide = writer.add(Tensor(f"{node.output}_wide", x.shape, INT32))
        writer.operator("CAST", 1, [writer.tensor(x.name)], [wide], cast)

        offset = writer.constant(f"{node.output}_offset", np.array([-INT8_MIN], np.int32))
        indices = writer.add(Tensor(f"{node.output}_indices", x.shape, INT32))
        writer.operator("ADD", 1, [wide, offset], [indices], schema.AddOptionsT())

        table = operator(node.op).lower(node, graph, Dialect.TFLM).table
        values = writer.constant(f"{node.output}_table", table, output.quant)
        inputs, outputs = [values, indices], [writer.tensor(node.output)]
        writer.operator("GATHER", self.version, inputs, outputs, schema.GatherOptionsT())


EXPORTER = TableOpExporter()
