"""Writes LSTMs: UNIDIRECTIONAL_SEQUENCE_LSTM and ``edgecnn_lstm``."""

from __future__ import annotations

import numpy as np

from edgecnn.ir import INT16, Graph, Node, QuantParams, Tensor
from edgecnn.ops.lstm import GATE_SUM_SCALE, GATES, LstmAttributes, LstmParams
from firmware_export.exporters import CArray, CLayer, Exporter
from firmware_export.tflite_writer import TfliteWriter

#: Inputs of the operator, most of them absent, and where its groups begin.
_INPUTS = 24
_INPUT_WEIGHTS, _RECURRENT_WEIGHTS, _BIASES, _HIDDEN_STATE, _CELL_STATE = 1, 5, 12, 18, 19


def _write_gates(writer: TfliteWriter, tensor: Tensor, scales: tuple[float, ...]) -> list[int]:
    """Indices of the tensors of the four gates, each with its own scale."""
    assert tensor.data is not None
    return [
        writer.constant(f"{tensor.name}/{gate}", data, QuantParams.per_tensor(scale, 0))
        for gate, data, scale in zip(GATES, tensor.data, scales, strict=True)
    ]


def _gate_scales(tensor: Tensor) -> tuple[float, ...]:
    assert tensor.quant is not None
    scale = tensor.quant.scale
    return scale if len(scale) == len(GATES) else scale * len(GATES)


class LstmExporter(Exporter[LstmParams]):
    """Writes lstm."""

    def write_tflite(self, node: Node, graph: Graph, writer: TfliteWriter) -> None:
        a = node.attributes
        assert isinstance(a, LstmAttributes)
        schema = writer.schema
        options = schema.UnidirectionalSequenceLSTMOptionsT()
        options.fusedActivationFunction = schema.ActivationFunctionType.TANH
        options.cellClip = a.cell_clip
        options.projClip = 0.0
        options.timeMajor = a.time_major
        output = self._sequence(node, graph, writer)
        inputs = self._inputs(node, graph, writer)
        writer.operator("UNIDIRECTIONAL_SEQUENCE_LSTM", self.version, inputs, [output], options)
        operator = writer.subgraph.operators[-1]
        operator.intermediates = np.array(self._intermediates(node, graph, writer), np.int32)
        if not a.sequence:
            self._last_step(node, graph, writer, output)

    def _inputs(self, node: Node, graph: Graph, writer: TfliteWriter) -> list[int]:
        a = node.attributes
        assert isinstance(a, LstmAttributes)
        assert a.cell_scale_power is not None
        x, weights, recurrent, bias = (graph.tensors[name] for name in node.inputs)
        batch, units = x.shape[1 if a.time_major else 0], weights.shape[1]
        scales, recurrent_scales = _gate_scales(weights), _gate_scales(recurrent)
        bias_scales = tuple(float(np.float32(x.scale * scale)) for scale in scales)
        cell_quant = QuantParams.per_tensor(2.0**a.cell_scale_power, 0)
        output = graph.tensors[node.output]
        hidden = Tensor(f"{node.output}/hidden", (batch, units), output.dtype, None, output.quant)
        cell = Tensor(f"{node.output}/cell", (batch, units), INT16, None, cell_quant)
        inputs = [-1] * _INPUTS
        inputs[0] = writer.tensor(node.inputs[0])
        groups = (
            (_INPUT_WEIGHTS, _write_gates(writer, weights, scales)),
            (_RECURRENT_WEIGHTS, _write_gates(writer, recurrent, recurrent_scales)),
            (_BIASES, _write_gates(writer, bias, bias_scales)),
            (_HIDDEN_STATE, [writer.variable(hidden)]),
            (_CELL_STATE, [writer.variable(cell)]),
        )
        for start, group in groups:
            inputs[start : start + len(group)] = group
        return inputs

    def _intermediates(self, node: Node, graph: Graph, writer: TfliteWriter) -> list[int]:
        """Four sums in Q3.12 and the hidden state: TFLite reads the scale of the last one."""
        a = node.attributes
        assert isinstance(a, LstmAttributes)
        quant = graph.tensors[node.output].quant
        if a.hidden_intermediate is not None:
            quant = QuantParams.per_tensor(*a.hidden_intermediate)
        sums = QuantParams.per_tensor(GATE_SUM_SCALE, 0)
        indices = [
            writer.add(Tensor(f"{node.output}/{gate}_sum", (0,), INT16, None, sums))
            for gate in GATES
        ]
        hidden = Tensor(f"{node.output}/hidden_intermediate", (0,), "int8", None, quant)
        return [*indices, writer.add(hidden)]

    def _sequence(self, node: Node, graph: Graph, writer: TfliteWriter) -> int:
        """Index of the operator's own output, which holds every step."""
        a = node.attributes
        assert isinstance(a, LstmAttributes)
        if a.sequence:
            return writer.tensor(node.output)
        x, output = graph.tensors[node.inputs[0]], graph.tensors[node.output]
        shape = (*x.shape[:2], output.shape[1])
        return writer.add(
            Tensor(f"{node.output}/sequence", shape, output.dtype, None, output.quant)
        )

    def _last_step(self, node: Node, graph: Graph, writer: TfliteWriter, sequence: int) -> None:
        """Write STRIDED_SLICE of the last step."""
        a = node.attributes
        assert isinstance(a, LstmAttributes)
        steps = graph.tensors[node.inputs[0]].shape[:2]
        shape = [*steps, graph.tensors[node.output].shape[1]]
        axis = 0 if a.time_major else 1
        begin = [0, 0, 0]
        begin[axis] = shape[axis] - 1
        options = writer.schema.StridedSliceOptionsT()
        options.shrinkAxisMask = 1 << axis
        bounds = [
            writer.constant(f"{node.output}_{name}", np.array(values, np.int32))
            for name, values in (("begin", begin), ("end", shape), ("strides", [1, 1, 1]))
        ]
        outputs = [writer.tensor(node.output)]
        writer.operator("STRIDED_SLICE", 2, [sequence, *bounds], outputs, options)

    def layer(self, node: Node, graph: Graph, params: LstmParams) -> CLayer:
        p = params
        a = node.attributes
        assert isinstance(a, LstmAttributes)
        x = graph.tensors[node.inputs[0]]
        _, units, depth = p.input_weights.shape
        steps, batches = x.shape[:2] if p.time_major else x.shape[1::-1]
        step, batch = (batches, 1) if p.time_major else (1, steps)
        return CLayer(
            kernel="lstm",
            fields={
                "input_weights": CArray(p.input_weights, "gate, unit, input"),
                "recurrent_weights": CArray(p.recurrent_weights, "gate, unit, unit"),
                "input_bias": CArray(p.input_bias, "gate, unit"),
                "recurrent_bias": CArray(p.recurrent_bias, "gate, unit"),
                "input_multiplier": p.input_scaling[0].tolist(),
                "input_shift": p.input_scaling[1].tolist(),
                "recurrent_multiplier": p.recurrent_scaling[0].tolist(),
                "recurrent_shift": p.recurrent_scaling[1].tolist(),
                "update_multiplier": p.update_scaling[0],
                "update_shift": p.update_scaling[1],
                "hidden_multiplier": p.hidden_scaling[0],
                "hidden_shift": p.hidden_scaling[1],
                "cell_integer_bits": p.cell_integer_bits,
                "cell_min": p.cell_min,
                "cell_max": p.cell_max,
                "hidden_zero_point": p.hidden_zero_point,
                "batches": batches,
                "steps": steps,
                "depth": depth,
                "units": units,
                "input_batch_stride": batch * depth,
                "input_step_stride": step * depth,
                "output_batch_stride": batch * units if p.sequence else units,
                "output_step_stride": step * units if p.sequence else 0,
            },
            # The cell state in int16 and the hidden state in int8.
            scratch_bytes=3 * units,
        )


EXPORTER = LstmExporter()
