"""Writes fully connected layers: FULLY_CONNECTED and ``edgecnn_fully_connected``."""

from __future__ import annotations

import numpy as np

from edgecnn.accumulate import sum_dtype
from edgecnn.ir import INT16, INT32, INT64, Graph, Node, Tensor
from edgecnn.ops.fully_connected import FullyConnectedAttributes, FullyConnectedParams
from firmware_export import distances
from firmware_export.convolution_layer import wide_fields
from firmware_export.exporters import CArray, CLayer, Exporter, FieldValue
from firmware_export.tflite_writer import TfliteWriter

#: Units that the kernel on int16 computes together.
WIDE_UNITS = 4


def tflite_version(
    attributes: FullyConnectedAttributes, *, per_channel: bool, wide_sums: str = ""
) -> int:
    """The version of FULLY_CONNECTED that first had what is written.

    Runtimes from before scales per channel then refuse the file instead of misreading it.
    ``wide_sums`` is the type of the sums of int16 layers.
    """
    if wide_sums == INT32:
        return 11
    if per_channel:
        return 9
    if wide_sums:
        return 7
    return 5 if attributes.keep_dims else 4


class FullyConnectedExporter(Exporter[FullyConnectedParams]):
    """Writes fully_connected."""

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        a = node.attributes
        assert isinstance(a, FullyConnectedAttributes)
        options = writer.schema.FullyConnectedOptionsT()
        options.fusedActivationFunction = writer.activation(a.activation)
        inputs = [writer.tensor(name) for name in node.inputs]
        if graph.is_wide(node):  # without a bias runtimes differ in the type of the sums
            inputs = [*inputs[:2], writer.bias(node)]
        weights, output = graph.tensors[node.inputs[1]], graph.tensors[node.output]
        assert weights.quant is not None
        sums = sum_dtype(graph, node) if output.dtype == INT16 else ""
        version = tflite_version(a, per_channel=weights.quant.is_per_channel, wide_sums=sums)
        if sums == INT32:
            options.quantizedBiasType = writer.schema.TensorType.INT32
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
        is_wide = p.dtype == INT16
        fields: dict[str, FieldValue] = {
            "weights": CArray(p.weights, "unit, input"),
            "bias": CArray(p.bias.astype(INT64) if is_wide else p.bias, "unit"),
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
        }
        if is_wide:
            _, ends = distances.parts(units, WIDE_UNITS)
            overlaps = distances.of_int16(distances.rows_of_units(p.rows, depth, ends))
            return CLayer("fully_connected_int16", wide_fields(fields, p.sums), overlaps=overlaps)
        overlaps = distances.rows_of_units(p.rows, depth, range(1, units + 1))
        return CLayer("fully_connected", fields, overlaps=overlaps)


EXPORTER = FullyConnectedExporter()
