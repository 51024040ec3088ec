"""Writes argmax: ARG_MAX and ``edgecnn_argmax``."""

from __future__ import annotations

import numpy as np

from edgecnn.ir import Graph, Node
from edgecnn.ops.argmax import ArgmaxAttributes, ArgmaxParams
from firmware_export.exporters import CLayer, Exporter
from firmware_export.tflite_writer import TfliteWriter


class ArgmaxExporter(Exporter[ArgmaxParams]):
    """Writes argmax."""

    version = 2

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        a = node.attributes
        assert isinstance(a, ArgmaxAttributes)
        options = writer.schema.ArgMaxOptionsT()
        options.outputType = writer.schema.TensorType.INT32
        axis = writer.constant(f"{node.output}_axis", np.array([a.axis], np.int32))
        inputs = [writer.tensor(node.inputs[0]), axis]
        writer.operator("ARG_MAX", self.version, inputs, [writer.tensor(node.output)], options)

    def layer(self, node: Node, graph: Graph, params: ArgmaxParams) -> CLayer:
        p = params
        return CLayer("argmax", {"outer": p.outer, "depth": p.depth, "inner": p.inner})


EXPORTER = ArgmaxExporter()
