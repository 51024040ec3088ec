"""Writes SVDF: SVDF and ``edgecnn_svdf``."""

from __future__ import annotations

import numpy as np

from edgecnn.ir import Graph, Node, QuantParams, Tensor
from edgecnn.ops.svdf import SvdfAttributes, SvdfParams
from firmware_export.exporters import CArray, CLayer, Exporter
from firmware_export.tflite_writer import TfliteWriter


class SvdfExporter(Exporter[SvdfParams]):
    """Writes svdf."""

    version = 3

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        a = node.attributes
        assert isinstance(a, SvdfAttributes)
        options = writer.schema.SVDFOptionsT()
        options.rank = a.rank
        # TensorFlow Lite takes no other; integer kernels leave it to the range of the output.
        options.fusedActivationFunction = writer.activation("relu")
        options.asymmetricQuantizeInputs = False
        x, weights, time = (graph.tensors[name] for name in node.inputs[:3])
        shape = (x.shape[0], weights.shape[0] * time.shape[1])
        quant = QuantParams.per_tensor(*a.state)
        state = Tensor(f"{node.output}/state", shape, time.dtype, None, quant)
        inputs = [writer.tensor(name) for name in node.inputs[:3]]
        inputs += [self._bias(node, graph, writer), writer.variable(state)]
        writer.operator("SVDF", self.version, inputs, [writer.tensor(node.output)], options)

    def _bias(self, node: Node, graph: Graph, writer: TfliteWriter) -> int:
        """Index of the bias with the scale that TFLite Micro asks for; zeros where it is absent."""
        a = node.attributes
        assert isinstance(a, SvdfAttributes)
        name = node.inputs[3] if len(node.inputs) > 3 else ""
        data = graph.constant(name)
        if data is None:
            data = np.zeros(graph.tensors[node.output].shape[1], np.int32)
        scale = np.float32(a.state[0]) * np.float32(graph.tensors[node.inputs[2]].scale)
        quant = QuantParams.per_tensor(float(scale), 0)
        if name and graph.tensors[name].quant == quant:
            return writer.tensor(name)
        return writer.constant(name or f"{node.output}_bias", data, quant)

    def layer(self, node: Node, graph: Graph, params: SvdfParams) -> CLayer:
        p = params
        filters, depth = p.weights.shape
        half = 1 << (p.state_bits - 1)
        return CLayer(
            kernel="svdf",
            fields={
                "weights": CArray(p.weights, "filter, input"),
                "feature_bias": CArray(p.feature_bias, "filter"),
                "time_weights": CArray(p.time_weights.astype(np.int16), "filter, newest frame"),
                "bias": CArray(p.bias, "unit"),
                "feature_multiplier": p.feature_scaling[0],
                "feature_shift": p.feature_scaling[1],
                "output_multiplier": p.output_scaling[0],
                "output_shift": p.output_scaling[1],
                "state_min": -half,
                "state_max": half - 1,
                "state_zero_point": p.state_zero_point,
                "output_zero_point": p.output_zero_point,
                "rows": graph.tensors[node.inputs[0]].shape[0],
                "depth": depth,
                "units": filters // p.rank,
                "rank": p.rank,
            },
        )


EXPORTER = SvdfExporter()
