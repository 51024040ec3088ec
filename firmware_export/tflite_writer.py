"""Writes int8 graphs as ``.tflite``, through the schema that ai-edge-litert ships.

The file carries scales and zero points only: every runtime computes its integer multipliers by
itself, which is what makes a stock interpreter an independent witness.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgecnn.accumulate import sum_dtype
from edgecnn.float_io import float_name, float_outputs
from edgecnn.ir import INT16, Array, Graph, Node, QuantParams, Tensor
from edgecnn.windows import Window, tflite_padding
from firmware_export.exporters import exporter

IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3


class TfliteWriter:
    """A TFLite model under construction; exporters of operators append to it.

    With ``float_io`` the file takes and gives float32: each input ends in a QUANTIZE and each
    int8 output in a DEQUANTIZE, as TFLite's converter writes them.
    """

    def __init__(self, graph: Graph, description: str, *, float_io: bool = False) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self.schema = schema
        self.graph = graph
        self._float_io = float_io
        self._tensors: dict[str, int] = {}
        self._auxiliary: set[str] = set()
        self._codes: dict[tuple[int, int], int] = {}
        empty = schema.BufferT()
        self.subgraph = schema.SubGraphT()
        self.subgraph.name = graph.name
        self.subgraph.tensors = []
        self.subgraph.operators = []
        self.model = schema.ModelT()
        self.model.version = SCHEMA_VERSION
        self.model.description = description
        self.model.operatorCodes = []
        self.model.buffers = [empty]
        self.model.subgraphs = [self.subgraph]

    # --- tensors ------------------------------------------------------------------------------

    def tensor(self, name: str) -> int:
        """Index of a tensor of the graph; it enters the file when first asked for."""
        if not name:
            return -1
        if name not in self._tensors:
            self._tensors[name] = self.add(self.graph.tensors[name])
        return self._tensors[name]

    def constant(self, name: str, data: Array, quant: QuantParams | None = None) -> int:
        """Add a constant that is not in the graph (axes, paddings, shapes)."""
        return self.add(Tensor(name, data.shape, data.dtype.name, data, quant))

    def add(self, tensor: Tensor) -> int:
        """Append a tensor and return its index.

        A tensor that is not of the graph is numbered where the graph has its name: runners
        find the graph's tensors by name.
        """
        schema = self.schema
        entry = schema.TensorT()
        entry.name = self._unique(tensor)
        entry.shape = np.array(tensor.shape, np.int32)
        entry.type = getattr(schema.TensorType, tensor.dtype.upper())
        entry.buffer = 0
        if tensor.data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(tensor.data).tobytes(), np.uint8)
            entry.buffer = len(self.model.buffers)
            self.model.buffers.append(buffer)
        if tensor.quant is not None:
            quantization = schema.QuantizationParametersT()
            quantization.scale = np.array(tensor.quant.scale, np.float32)
            quantization.zeroPoint = np.array(tensor.quant.zero_point, np.int64)
            quantization.quantizedDimension = tensor.quant.axis or 0
            entry.quantization = quantization
        self.subgraph.tensors.append(entry)
        return len(self.subgraph.tensors) - 1

    def variable(self, tensor: Tensor) -> int:
        """Append a tensor that a recurrent operator changes, and that a reset sets to zero."""
        index = self.add(tensor)
        self.subgraph.tensors[index].isVariable = True
        return index

    def _unique(self, tensor: Tensor) -> str:
        name, number = tensor.name, 1
        if self.graph.tensors.get(name) is not tensor:
            while name in self.graph.tensors or name in self._auxiliary:
                name, number = f"{tensor.name}_{number}", number + 1
            self._auxiliary.add(name)
        return name

    # --- operators ----------------------------------------------------------------------------

    def operator(
        self,
        code: str,
        version: int,
        inputs: Sequence[int],
        outputs: Sequence[int],
        options: Any = None,
    ) -> None:
        """Append an operator by the name of its BuiltinOperator; ``options`` is a ``…OptionsT``."""
        schema = self.schema
        entry = schema.OperatorT()
        entry.opcodeIndex = self._code(getattr(schema.BuiltinOperator, code), version)
        entry.inputs = np.array(inputs, np.int32)
        entry.outputs = np.array(outputs, np.int32)
        if options is not None:
            union = type(options).__name__.removesuffix("T")
            entry.builtinOptionsType = getattr(schema.BuiltinOptions, union)
            entry.builtinOptions = options
        self.subgraph.operators.append(entry)

    def _code(self, number: int, version: int) -> int:
        key = (number, version)
        if key not in self._codes:
            code = self.schema.OperatorCodeT()
            code.builtinCode = number
            code.deprecatedBuiltinCode = min(number, 127)
            code.version = version
            self._codes[key] = len(self.model.operatorCodes)
            self.model.operatorCodes.append(code)
        return self._codes[key]

    def activation(self, name: str) -> int:
        """TFLite's number of a fused activation."""
        codes = self.schema.ActivationFunctionType
        return int(
            {
                "none": codes.NONE,
                "relu": codes.RELU,
                "relu6": codes.RELU6,
                "relu_n1_to_1": codes.RELU_N1_TO_1,
            }[name]
        )

    def bias(self, node: Node) -> int:
        """Index of the bias (input 2) of an operator with weights; zeros where it is absent.

        TFLite rejects int8 convolutions without one.
        """
        if len(node.inputs) > 2 and node.inputs[2]:
            return self.tensor(node.inputs[2])
        image, output = self.graph.tensors[node.inputs[0]], self.graph.tensors[node.output]
        weights = self.graph.tensors[node.inputs[1]].quant
        assert weights is not None
        scales = tuple(float(np.float32(image.scale * scale)) for scale in weights.scale)
        quant = QuantParams(scales, (0,) * len(scales), 0 if len(scales) > 1 else None)
        zeros = np.zeros(output.shape[-1], sum_dtype(self.graph, node))
        return self.constant(f"{node.output}_bias", zeros, quant)

    def windowed_input(self, name: str, window: Window, fill: int | None = None) -> tuple[int, int]:
        """Index of an image and TFLite's padding mode for a window over it.

        Padding that TFLite's modes cannot express is written as a PAD before the operator, of
        zero (the zero point), or as a PADV2 of the byte ``fill``.
        """
        image = self.graph.tensors[name]
        modes = self.schema.Padding
        mode = tflite_padding(window, (image.shape[1], image.shape[2]))
        if mode is not None:
            return self.tensor(name), int(getattr(modes, mode))
        top, bottom, left, right = window.padding
        paddings = ((0, 0), (top, bottom), (left, right), (0, 0))
        return self.padded(name, paddings, fill), int(modes.VALID)

    def padded(
        self, name: str, paddings: Sequence[tuple[int, int]], fill: int | None, output: str = ""
    ) -> int:
        """Write PAD, or PADV2 of the byte ``fill``; return the index of the padded tensor."""
        schema, image = self.schema, self.graph.tensors[name]
        amounts = self.constant(f"{name}_paddings", np.array(paddings, np.int32))
        shape = tuple(b + n + a for n, (b, a) in zip(image.shape, paddings, strict=True))
        if output:
            index = self.tensor(output)
        else:
            index = self.add(Tensor(f"{name}_padded", shape, image.dtype, None, image.quant))
        version = 3 if image.dtype == INT16 else 2
        inputs = [self.tensor(name), amounts]
        if fill is None:
            self.operator("PAD", version, inputs, [index], schema.PadOptionsT())
        else:
            data = np.array([fill], image.dtype)
            inputs.append(self.constant(f"{name}_fill", data, image.quant))
            self.operator("PADV2", version, inputs, [index], schema.PadV2OptionsT())
        return index

    def reshape(self, index: int, output: str) -> None:
        """Write RESHAPE of a tensor of the file to a tensor of the graph."""
        shape = np.array(self.graph.tensors[output].shape, np.int32)
        options = self.schema.ReshapeOptionsT()
        options.newShape = shape
        inputs = [index, self.constant(f"{output}_shape", shape)]
        self.operator("RESHAPE", 1, inputs, [self.tensor(output)], options)

    # --- the end ------------------------------------------------------------------------------

    def finish(self) -> bytes:
        """Write every node and return the file."""
        import flatbuffers

        enter = self._float_input if self._float_io else self.tensor
        inputs = [enter(name) for name in self.graph.inputs]
        for node in self.graph.nodes:
            exporter(node.op).write_tflite(node, self.graph, self)
        ends = self._write_float_outputs() if self._float_io else {}
        outputs = [ends[n] if n in ends else self.tensor(n) for n in self.graph.outputs]
        self.subgraph.inputs = np.array(inputs, np.int32)
        self.subgraph.outputs = np.array(outputs, np.int32)
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(self.model.Pack(builder), IDENTIFIER)
        return bytes(builder.Output())

    def _float_tensor(self, name: str) -> int:
        """Append the float tensor outside of an input or output of the graph."""
        return self.add(Tensor(float_name(self.graph, name), self.graph.tensors[name].shape))

    def _float_input(self, name: str) -> int:
        """Write the QUANTIZE of an input; return the index of the float tensor before it."""
        outside, inside = self._float_tensor(name), self.tensor(name)
        self.operator("QUANTIZE", 1, [outside], [inside], self.schema.QuantizeOptionsT())
        return outside

    def _write_float_outputs(self) -> dict[str, int]:
        """Write the DEQUANTIZE of each int8 output; return the float tensors behind them."""
        ends = {}
        for name in float_outputs(self.graph):
            ends[name] = self._float_tensor(name)
            options = self.schema.DequantizeOptionsT()
            self.operator("DEQUANTIZE", 2, [self.tensor(name)], [ends[name]], options)
        return ends


def to_tflite(graph: Graph, description: str = "edgecnn", *, float_io: bool = False) -> bytes:
    """Encode an int8 graph as a ``.tflite`` file. The same graph gives the same bytes.

    With ``float_io`` the file takes and gives float32 (indices stay int32).
    """
    return TfliteWriter(graph, description, float_io=float_io).finish()
