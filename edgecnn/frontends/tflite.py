"""Reads ``.tflite`` files, float and int8, through the schema that ai-edge-litert ships."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import numpy as np

from edgecnn import verify
from edgecnn.errors import InvariantError, ModelFormatError
from edgecnn.fixedpoint import INT8_MAX, INT8_MIN, quantize_multiplier, requantize
from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.frontends.constant_folding import fold
from edgecnn.frontends.spelling import TfliteOperator, TfliteOutput, importers
from edgecnn.frontends.tflite_dilation import REASON, Batches, batches_to_space, space_to_batches
from edgecnn.frontends.tflite_hints import operator_reason, output_problem
from edgecnn.frontends.tflite_tables import FoundTable, find_tables
from edgecnn.ir import (
    FLOAT32,
    INT8,
    INT16,
    INT32,
    MAX_SCALE,
    Array,
    Graph,
    QuantParams,
    Shape,
    Tensor,
    prune,
)
from edgecnn.ops.table import TableAttributes

IDENTIFIER = b"TFL3"
#: Dimensions of a tensor; TFLite's kernels take no more.
_MAX_RANK = 8

#: What is subtracted of a uint8 value to make it int8.
UINT8_OFFSET = 128

_DTYPES = {
    "FLOAT32": np.float32,
    "FLOAT16": np.float16,
    "INT32": np.int32,
    "UINT8": np.uint8,
    "INT64": np.int64,
    "BOOL": np.bool_,
    "INT16": np.int16,
    "INT8": np.int8,
}


def _names(enumeration: type) -> dict[int, str]:
    return {v: k for k, v in vars(enumeration).items() if not k.startswith("_")}


def parse(data: bytes) -> Any:
    """Unpack a flatbuffer into the schema's ``ModelT``.

    Raises `ModelFormatError` for anything that is not one whole TFLite model.
    """
    from ai_edge_litert import schema_py_generated as schema

    if not data:
        raise ModelFormatError("the file is empty")
    if data[4:8] != IDENTIFIER:
        raise ModelFormatError("this is not a TFLite file (no TFL3 identifier)")
    try:
        model = schema.ModelT.InitFromPackedBuf(data, 0)
    except Exception as error:  # the unpacker raises whatever a wrong offset leads to
        raise ModelFormatError(f"the TFLite file is truncated or corrupted ({error})") from error
    if not model.subgraphs or model.operatorCodes is None or model.buffers is None:
        raise ModelFormatError("the TFLite file is truncated or corrupted (no network in it)")
    for subgraph in model.subgraphs:
        subgraph.operators = subgraph.operators or []
        for operator in subgraph.operators:  # an absent list means an empty one
            operator.inputs = [] if operator.inputs is None else operator.inputs
            operator.outputs = [] if operator.outputs is None else operator.outputs
    return model


def tensor_names(subgraph: Any) -> list[str]:
    """Unique names of a subgraph's tensors, in the order of their indices.

    The simulator and the runners of ``.tflite`` files meet by these names.
    """
    names: list[str] = []
    taken: set[str] = set()
    for index, tensor in enumerate(subgraph.tensors):
        name = (tensor.name or b"").decode("utf-8", "replace") or f"tensor_{index}"
        while name in taken:
            name = f"{name}#{index}"
        taken.add(name)
        names.append(name)
    return names


@dataclasses.dataclass(frozen=True)
class _Source:
    """A parsed model with what the importer looks up in it."""

    model: Any
    graph: Any
    names: list[str]
    types: dict[int, str]
    operators: dict[int, str]

    def dtype(self, index: int) -> str:
        return np.dtype(_DTYPES[self.type_name(index)]).name

    def type_name(self, index: int) -> str:
        name = self.types.get(self.graph.tensors[index].type, "an unknown type")
        if name not in _DTYPES:
            raise Unsupported(f"tensor '{self.names[index]}' is of type {name}")
        return name

    def shape(self, index: int) -> Shape:
        shape = self.graph.tensors[index].shape
        sizes = () if shape is None else tuple(int(n) for n in shape)
        if len(sizes) > _MAX_RANK or min(sizes, default=1) < 0:
            raise ModelFormatError(f"tensor '{self.names[index]}' has a shape that cannot be")
        return sizes

    def quant(self, index: int) -> QuantParams | None:
        q = self.graph.tensors[index].quantization
        if q is None or q.scale is None or not len(q.scale):
            return None
        if self.type_name(index) in ("FLOAT32", "FLOAT16"):
            return None  # left behind by converters; a float tensor means what it holds
        scale = tuple(float(np.float32(s)) for s in q.scale)
        zero_points = q.zeroPoint if q.zeroPoint is not None and len(q.zeroPoint) else [0]
        zero_point = tuple(int(z) for z in np.broadcast_to(zero_points, (len(scale),)))
        if not all(0 < s <= MAX_SCALE for s in scale):
            wrong = next(s for s in scale if not 0 < s <= MAX_SCALE)
            raise ModelFormatError(
                f"tensor '{self.names[index]}' has the scale {wrong:g}, which cannot be"
            )
        axis = int(q.quantizedDimension) if len(scale) > 1 else None
        if axis is not None and len(self.shape(index)) == 1:
            axis = 0  # older converters give biases the axis of the weights
        self._check_quant(index, zero_point, len(scale), axis)
        return QuantParams(scale, zero_point, axis)

    def _check_quant(
        self, index: int, zero_point: tuple[int, ...], scales: int, axis: int | None
    ) -> None:
        shape, name = self.shape(index), self.names[index]
        if axis is not None and (not 0 <= axis < len(shape) or shape[axis] != scales):
            raise ModelFormatError(
                f"tensor '{name}' of shape {shape} has {scales} scales along axis {axis}"
            )
        if self.dtype(index) == INT8 and not all(INT8_MIN <= z <= INT8_MAX for z in zero_point):
            raise ModelFormatError(f"tensor '{name}' has a zero point that is not an int8 value")

    def data(self, index: int) -> Array | None:
        tensor = self.graph.tensors[index]
        raw = self.model.buffers[tensor.buffer].data
        shape = self.shape(index)
        if raw is None or not len(raw):
            return None
        dtype = np.dtype(_DTYPES[self.type_name(index)])
        flat = np.frombuffer(np.asarray(raw, np.uint8).tobytes(), dtype)
        if flat.size != int(np.prod(shape, dtype=np.int64)):
            raise ModelFormatError(
                f"tensor '{self.names[index]}' of shape {shape} has {flat.size} values"
            )
        return flat.reshape(shape)


class _Importer:
    """Walks the operators of one subgraph and builds the graph."""

    def __init__(self, source: _Source, name: str) -> None:
        self.source = source
        self.builder = GraphBuilder(name)
        self.values: dict[int, Value] = {}
        self.inputs = [int(i) for i in source.graph.inputs]
        self.outputs = [int(i) for i in source.graph.outputs]
        self.tables: dict[int, FoundTable] = {}
        self.inside_tables: set[int] = set()
        self.batches: dict[int, Batches] = {}

    def run(self) -> None:
        """Import inputs, operators and outputs."""
        self._add_inputs()
        operators = self.source.graph.operators
        names = [self._op_name(op) for op in operators]
        if "GATHER" in names:
            found = find_tables(operators, names, self.source, self.outputs)
            self.tables, self.inside_tables = found
        for op in operators:
            self._import(op)
        if self.builder.problems:
            return  # outputs may be missing; `GraphBuilder.finish` lists the problems
        for index in self.outputs:
            value = self._value(index)
            if value is None or self.builder.data(value) is not None:
                raise ModelFormatError("an output of the network is constant or absent")
            self._check_end(value, "output")
            self.builder.outputs.append(value)

    def _check_end(self, value: Value, end: str) -> None:
        if self.builder.tensors[value].dtype == INT16:
            raise Unsupported(f"its {end} '{value}' is int16; only layers inside of it may be")

    def _add_input(self, index: int, renamed: int | None = None) -> None:
        source, declared = self.source, index if renamed is None else renamed
        value = self.builder.add_input(
            source.names[declared],
            source.shape(index),
            source.dtype(declared),
            source.quant(declared),
        )
        self.values[declared] = value
        self._check_end(value, "input")

    def _add_inputs(self) -> None:
        """Enter the inputs; start in int8 where a float or uint8 one is only quantized."""
        readers: dict[int, list[Any]] = {index: [] for index in self.inputs}
        for op in self.source.graph.operators:
            for index in op.inputs:
                if int(index) in readers:
                    readers[int(index)].append(op)
        for index in self.inputs:
            ops = readers[index]
            quantized = [int(op.outputs[0]) for op in ops if self._op_name(op) == "QUANTIZE"]
            if len(ops) == len(quantized) == 1 and self._is_quantize_at_the_end(
                index, quantized[0]
            ):
                self._add_input(index, quantized[0])
            elif ops and len(ops) == len(quantized) and self.source.dtype(index) == "uint8":
                name, shape = self.source.names[index], self.source.shape(index)
                quant = self._shifted_quant(index)
                self.values[index] = self.builder.add_input(name, shape, INT8, quant)
            else:
                self._add_input(index)

    def _shifted_quant(self, index: int) -> QuantParams:
        """The scale and zero point of a uint8 tensor whose values are taken as int8, less 128."""
        quant = self.source.quant(index)
        if quant is None or quant.is_per_channel:
            raise Unsupported(f"tensor '{self.source.names[index]}' of type uint8 has no scale")
        return QuantParams.per_tensor(quant.scale[0], quant.zero_point[0] - UINT8_OFFSET)

    def _is_quantize_at_the_end(self, outer: int, inner: int) -> bool:
        """Whether a conversion between the outside and int8 loses nothing by being left out."""
        source = self.source
        if source.dtype(inner) != INT8:
            return False
        if source.dtype(outer) == FLOAT32:
            return True
        if source.dtype(outer) != "uint8":
            return False
        a, b = self._shifted_quant(outer), source.quant(inner)
        if b is None or a.zero_point != b.zero_point:
            return False
        codes = np.arange(INT8_MIN, INT8_MAX + 1)
        multiplier, shift = quantize_multiplier(a.scale[0] / b.scale[0])
        rescaled = requantize(codes - a.zero_point[0], multiplier, shift, b.zero_point[0])
        return a.scale == b.scale or bool((rescaled == codes).all())

    def _op_name(self, op: Any) -> str:
        code = self.source.model.operatorCodes[op.opcodeIndex]
        number = max(code.builtinCode, code.deprecatedBuiltinCode)
        name = self.source.operators.get(number, f"operator {number}")
        if name == "CUSTOM":
            custom = code.customCode or b""
            return "CUSTOM " + (custom.decode("utf-8", "replace") if custom else "?")
        return name

    def _value(self, index: int, as_float: bool = False) -> Value | None:
        """The builder's value of a tensor; constants enter when they are first used."""
        if index < 0:
            return None
        if index in self.batches:
            raise Unsupported(REASON)
        if index not in self.values:
            data = self.source.data(index)
            if data is None and not self.source.graph.tensors[index].isVariable:
                raise Unsupported(f"its input '{self.source.names[index]}' could not be imported")
            quant = self.source.quant(index)
            name = self.source.names[index]
            if data is None:  # the state of a recurrent operator, which only lends its scale
                variable = Tensor(name, self.source.shape(index), self.source.dtype(index))
                variable = dataclasses.replace(variable, quant=quant)
                self.values[index] = self.builder.add_tensor(variable)
                return self.values[index]
            if as_float and data.dtype != np.float32 and quant is not None:
                data, quant = _dequantize_weights(data, quant), None
            self.values[index] = self.builder.add_tensor(
                Tensor(name, data.shape, data.dtype.name, data, quant)
            )
        return self.values[index]

    def _import(self, op: Any) -> None:
        name = self._op_name(op)
        output = int(op.outputs[0]) if len(op.outputs) else -1
        if output < 0 and name in importers().tflite:
            raise ModelFormatError(f"an operator {name} has no output")
        named = [output, *map(int, op.inputs)]
        label = next((self.source.names[i] for i in named if i >= 0), "the start")
        try:
            self._import_one(op, name, output)
        except Unsupported as problem:
            # What depends on a missing tensor is only a consequence: not worth a line.
            if "could not be imported" not in problem.reason:
                self.builder.problem(name, label, problem.reason, problem.substitute)

    def _import_one(self, op: Any, name: str, output: int) -> None:
        source, builder = self.source, self.builder
        if output in self.values or output in self.inside_tables:
            return  # a QUANTIZE at the start, already stripped; indices of a table
        if output in self.tables:
            self.values[output] = self._table(self.tables[output], output)
            return
        inputs = [int(i) for i in op.inputs]
        if output < 0:
            raise Unsupported(*operator_reason(name))
        if self._fold(op, name, inputs, output):
            return
        if (
            name == "DEQUANTIZE"
            and output in self.outputs
            and self._is_quantize_at_the_end(output, inputs[0])
        ) or (
            name == "QUANTIZE"
            and output in self.outputs
            and source.dtype(output) == "uint8"
            and self._is_quantize_at_the_end(output, inputs[0])
        ):
            value = self._value(inputs[0])
            assert value is not None
            self.values[output] = value
            return
        if name == "SPACE_TO_BATCH_ND" or (inputs and inputs[0] in self.batches):
            self._import_in_batches(op, name, inputs, output)
            return
        table = importers().tflite
        if name not in table:
            raise Unsupported(*operator_reason(name))
        outputs = [self._declared(int(i), name) for i in op.outputs]
        is_float = outputs[0].dtype == FLOAT32
        values = [self._value(i, as_float=is_float) for i in inputs]
        if not values or values[0] is None:
            raise ModelFormatError(f"an operator {name} has no input")
        lenders = [] if op.intermediates is None else op.intermediates
        intermediates = [self._described(int(i)) for i in lenders]
        operator = TfliteOperator(name, values, op.builtinOptions, outputs, intermediates)
        self._check_types(operator, inputs)
        result = table[name](builder, operator)
        results = result if isinstance(result, list) else [result]
        for index, declared, value in zip(op.outputs, outputs, results, strict=True):
            self._enter(name, int(index), declared, value)

    def _import_in_batches(self, op: Any, name: str, inputs: list[int], output: int) -> None:
        """Follow SPACE_TO_BATCH_ND through a convolution to BATCH_TO_SPACE_ND."""
        declared = self._declared(output)
        others = [self._value(i, as_float=declared.dtype == FLOAT32) for i in inputs[1:]]
        if name == "SPACE_TO_BATCH_ND":
            moved = TfliteOperator(name, [self._value(inputs[0]), *others], None, [declared])
            self.batches[output] = space_to_batches(self.builder, moved)
            return
        batches = self.batches[inputs[0]]
        operator = TfliteOperator(name, [None, *others], op.builtinOptions, [declared])
        if name == "BATCH_TO_SPACE_ND":
            value = batches_to_space(self.builder, batches, operator)
            self._enter(name, output, declared, value)
        else:
            self.batches[output] = batches.after(operator, self.source.shape(inputs[0]))

    def _enter(self, name: str, output: int, declared: TfliteOutput, value: Value) -> None:
        """Keep what was imported for an output, whose shape must be the declared one."""
        if self.builder.shape(value) != declared.shape:
            raise ModelFormatError(
                f"operator {name} at '{declared.name}' declares an output of shape "
                f"{declared.shape}; its inputs give {self.builder.shape(value)}"
            )
        self.values[output] = value

    def _table(self, found: FoundTable, output: int) -> Value:
        """Import CAST, ADD and GATHER as the table that they look up in."""
        attributes = TableAttributes(values=found.values)
        declared = self._declared(output)
        operator = TfliteOperator("GATHER", [self._value(found.source)], None, [declared])
        return operator.emit(self.builder, "table", operator.inputs, attributes)

    def _declared(self, index: int, operator: str = "") -> TfliteOutput:
        """What the file says of an output; `Unsupported` for a type that is not computed.

        A uint8 output of the network that is only quantized counts as int8, less 128.
        """
        source = self.source
        dtype, quant = source.dtype(index), source.quant(index)
        if dtype == "uint8" and operator == "QUANTIZE" and index in self.outputs:
            dtype, quant = INT8, self._shifted_quant(index)
        problem = output_problem(dtype, quant)
        if problem is not None:
            raise Unsupported(*problem)
        return TfliteOutput(source.names[index], dtype, source.shape(index), quant)

    def _described(self, index: int) -> TfliteOutput:
        """What the file says of a tensor, whatever its type."""
        source = self.source
        return TfliteOutput(
            source.names[index], source.dtype(index), source.shape(index), source.quant(index)
        )

    def _check_types(self, operator: TfliteOperator, inputs: list[int]) -> None:
        """Activations are all of one type; only ARG_MAX and ARG_MIN count in int32."""
        dtypes = {
            self.builder.tensors[value].dtype
            for i, value in zip(inputs, operator.inputs, strict=True)
            if value
            and self.builder.data(value) is None
            and not self.source.graph.tensors[i].isVariable
        }
        computed = operator.output.dtype
        if computed == INT32 and operator.name in ("ARG_MAX", "ARG_MIN"):
            return
        if operator.name == "QUANTIZE" and dtypes | {computed} <= {INT8, INT16}:
            return
        if computed == INT32 or dtypes - {computed}:
            found = ", ".join(sorted(dtypes))
            raise Unsupported(f"it turns {found} into {computed}")

    def _fold(self, op: Any, name: str, inputs: list[int], output: int) -> bool:
        """Compute an operator on constants (shape arithmetic, packed weights) right away."""
        if name == "SHAPE":
            data: Array | None = np.array(self.source.shape(inputs[0]), np.int32)
        else:
            known = [
                self.builder.data(self.values[i])
                if i in self.values
                else self.source.data(i)
                if i >= 0
                else None
                for i in inputs
            ]
            if not inputs or any(array is None for array in known):
                return False
            quant = self.source.quant(inputs[0])
            data = fold(name, [a for a in known if a is not None], op.builtinOptions, quant)
        if data is None:
            return False
        data = data.astype(self.source.dtype(output), copy=False)
        tensor = Tensor(self.source.names[output], data.shape, data.dtype.name, data)
        self.values[output] = self.builder.add_tensor(tensor)
        return True


def _dequantize_weights(data: Array, quant: QuantParams) -> Array:
    """Real weights of a float network that keeps them in int8 (dynamic-range quantization)."""
    shape = [1] * data.ndim
    if quant.axis is not None:
        shape[quant.axis] = -1
    scale = np.asarray(quant.scale, np.float32).reshape(shape)
    zero_point = np.asarray(quant.zero_point, np.float32).reshape(shape)
    return ((data.astype(np.float32) - zero_point) * scale).astype(np.float32)


def load(data: bytes, name: str) -> Graph:
    """Read the first subgraph of a TFLite model.

    ``data`` is the whole file. Float and uint8 inputs and outputs of an int8 network (QUANTIZE
    and DEQUANTIZE at the ends) are stripped: the graph starts and ends in int8. Raises
    `ModelFormatError`, or `UnsupportedError` with all operators that cannot be read.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = parse(data)
    try:
        graph = model.subgraphs[0]
        if graph.inputs is None or graph.outputs is None or not graph.tensors:
            raise ModelFormatError("the TFLite file holds a network without inputs or outputs")
        if not all(0 <= tensor.buffer < len(model.buffers) for tensor in graph.tensors):
            raise ModelFormatError("the TFLite file refers to data that is not in it")
        source = _Source(
            model,
            graph,
            tensor_names(graph),
            _names(schema.TensorType),
            _names(schema.BuiltinOperator),
        )
        importer = _Importer(source, name)
        importer.run()
    except (IndexError, AttributeError, TypeError, ValueError, KeyError, OverflowError) as error:
        raise ModelFormatError(
            f"the TFLite file is malformed ({type(error).__name__}: {error})"
        ) from error
    except Unsupported as problem:
        raise ModelFormatError(f"the TFLite file cannot be read: {problem.reason}") from problem
    network = prune(importer.builder.finish(hashlib.sha256(data).hexdigest()))
    try:
        verify.check(network)
    except InvariantError as error:  # types, scales and shapes that contradict each other
        raise ModelFormatError(f"the TFLite file is malformed ({error})") from error
    return network
