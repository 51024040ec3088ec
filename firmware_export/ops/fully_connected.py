"""Writes fully connected layers: FULLY_CONNECTED and ``edgecnn_fully_connected``."""

from __future__ import annotations

import numpy as np

from edgecnn.ir import Graph, Node, Tensor
from edgecnn.ops.fully_connected import FullyConnectedAttributes, FullyConnectedParams
from firmware_export import distances
from firmware_export.exporters import CArray, CLayer, Exporter
from firmware_export.tflite_writer import TfliteWriter


def tflite_version(attributes: FullyConnectedAttributes, *, per_channel: bool) -> int:
    """The version of FULLY_CONNECTED that first had what is written.

    Runtimes from before scales per channel then refuse the file instead of misreading it.
    """
    if per_channel:
        return 9
    return 5 if attributes.keep_dims else 4


class FullyConnectedExporter(Exporter[FullyConnectedParams]):
    """Writes fully_connected."""

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        a = node.attributes
        assert isinstance(a, FullyConnectedAttributes)
        options = writer.schema.FullyConnectedOptionsT()
        options.fusedActivationFunction = writer.activation(a.activation)
        inputs = [writer.tensor(name) for name in node.inputs]
        weights, output = graph.tensors[node.inputs[1]], graph.tensors[node.output]
        assert weights.quant is not None
        version = tflite_version(a, per_channel=weights.quant.is_per_channel)
        if len(output.shape) == 2 or not weights.quant.is_per_channel:
            options.keepNumDims = a.keep_dims
            outputs = [writer.tensor(node.output)]
            writer.operator("FULLY_CONNECTED", version, inputs, outputs, options)
            return
        # tflite-runtime's FullyConnectedPerChannel takes the output's second dimension for its
        # depth, and leaves most of an output of more dimensions unwritten.
        size = (output.size // output.shape[-1], output.shape[-1])
        rows = writer.add(Tensor(f"{node.output}_rows", size, output.dtype, None, output.quant))
        writer.operator("FULLY_CONNECTED", version, inputs, [rows], options)
        writer.reshape(rows, node.output)

    def layer(self, node: Node, graph: Graph, params: FullyConnectedParams) -> CLayer:
        p = params
        units, depth = p.weights.shape
        pairs = np.unique(np.stack([p.multiplier, p.shift]), axis=1)
        per_channel = pairs.shape[1] > 1
        count = units if per_channel else 1
        return CLayer(
            kernel="fully_connected",
            fields={
                "weights": CArray(p.weights, "unit, input"),
                "bias": CArray(p.bias, "unit"),
                "multiplier": CArray(p.multiplier[:count], "unit" if per_channel else "layer"),
                "shift": CArray(p.shift[:count].astype("int8"), "unit" if per_channel else "layer"),
                "rows": p.rows,
                "depth": depth,
                "units": units,
                "per_channel": int(per_channel),
                "weights_zero_point": p.weights_zero_point,
                "output_zero_point": p.output_zero_point,
                "activation_min": p.activation_min,
                "activation_max": p.activation_max,
            },
            overlaps=distances.rows_of_units(p.rows, depth, range(1, units + 1)),
        )


EXPORTER = FullyConnectedExporter()
