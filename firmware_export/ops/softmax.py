"""Writes softmax: SOFTMAX and ``edgecnn_softmax``."""

from __future__ import annotations

import numpy as np

from edgecnn.ir import Graph, Node
from edgecnn.ops.softmax import SoftmaxAttributes, SoftmaxParams
from edgecnn.wide_softmax import WideSoftmaxParams, exponentials, reciprocals
from firmware_export.distances import IN_PLACE
from firmware_export.exporters import CArray, CLayer, Exporter, FieldValue
from firmware_export.tflite_writer import TfliteWriter


class SoftmaxExporter(Exporter[SoftmaxParams | WideSoftmaxParams]):
    """Writes softmax."""

    version = 2
    wide_version = 3

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        a = node.attributes
        assert isinstance(a, SoftmaxAttributes)
        options = writer.schema.SoftmaxOptionsT()
        options.beta = a.beta
        inputs, outputs = [writer.tensor(node.inputs[0])], [writer.tensor(node.output)]
        writer.operator("SOFTMAX", self.version_of(node, graph), inputs, outputs, options)

    def layer(self, node: Node, graph: Graph, params: SoftmaxParams | WideSoftmaxParams) -> CLayer:
        p = params
        if isinstance(p, WideSoftmaxParams):
            fields: dict[str, FieldValue] = {
                "exponentials": CArray(exponentials().astype(np.int16), "exp(x), x from -10 to 0"),
                "reciprocals": CArray(reciprocals().astype(np.int16), "1 / (1 + x), x from 0 to 1"),
                "rows": p.rows,
                "depth": p.depth,
                "multiplier": p.multiplier,
                "shift": p.shift,
            }
            return CLayer(kernel="softmax_int16", fields=fields)
        return CLayer(
            kernel="softmax",
            fields={
                "rows": p.rows,
                "depth": p.depth,
                "multiplier": p.multiplier,
                "left_shift": p.left_shift,
                "difference_min": p.difference_min,
            },
            overlaps=IN_PLACE,
        )


EXPORTER = SoftmaxExporter()
