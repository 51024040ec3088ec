"""Walks the nodes of an ONNX network and builds a graph from them.

What depends on constants and static shapes only is computed right away; the rest goes to the
importers. Rank-4 inputs and outputs become NHWC here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from onnx import AttributeProto, TensorProto, helper, numpy_helper

from edgecnn.errors import InvariantError, ModelFormatError
from edgecnn.frontends.builder import (
    NCHW_TO_NHWC,
    NHWC_TO_NCHW,
    GraphBuilder,
    Unsupported,
    Value,
)
from edgecnn.frontends.onnx_folding import fold
from edgecnn.frontends.onnx_hints import substitute
from edgecnn.frontends.onnx_sequences import behind_sequences
from edgecnn.frontends.spelling import OnnxNode, importers
from edgecnn.ir import Array, QuantParams, Shape, Tensor

FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16)
CODES = (TensorProto.INT8, TensorProto.UINT8)

#: Operators that only move values: they may work on the integers that QuantizeLinear gives, and
#: keep the name and the scales of a constant.
_MOVES = (
    "Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Identity", "MaxPool", "Split",
    "Slice", "Resize", "Upsample", "DepthToSpace", "SpaceToDepth", "Expand", "Tile",
)  # fmt: skip
_KEEP_CONSTANTS = ("Reshape", "Transpose", "Squeeze", "Unsqueeze", "Identity", "Cast")

_DOMAINS = ("", "ai.onnx")


class _Builder(GraphBuilder):
    """A builder where a constant that is laid out anew keeps the scales of the one before."""

    def constant(
        self, data: Array, name: str = "constant", quant: QuantParams | None = None
    ) -> Value:
        before = self.tensors.get(name)
        if quant is None and before is not None and data.dtype.kind == "f":
            quant = before.quant
        return super().constant(data, name, quant)


class Walker:
    """Imports one network into ``builder``; ``entered`` names the constants as they came.

    ``preferred`` maps a tensor that only stands for another one to the name that the file has.
    ``shapes`` are those of the inputs, ``inferred`` those of all values as far as ONNX knows.
    """

    def __init__(self, graph: Any, opset: int, name: str, shapes: Mapping[str, Shape]) -> None:
        self.graph = graph
        self.opset = opset
        self.shapes = shapes
        self.inferred: Mapping[str, tuple[int, Shape]] = {}
        self.builder: GraphBuilder = _Builder(name)
        self.entered: set[str] = set()
        self.preferred: dict[str, str] = {}
        self._constants: dict[str, Array] = {}
        self._labels: dict[str, str] = {}
        self._values: dict[str, Value] = {}
        self._failed: set[str] = set()
        self._codes: dict[str, str] = {}
        self._importers = importers().onnx

    def run(self) -> None:
        """Import everything; problems are noted in the builder."""
        for tensor in self.graph.initializer:
            self._constants[tensor.name] = _to_array(tensor)
        for info in self.graph.input:
            if info.name in self.shapes:
                self._input(info)
        for node in self.graph.node:
            self._node(node)
        for info in self.graph.output:
            self._output(info.name)

    # --- ends ---------------------------------------------------------------------------------

    def _input(self, info: Any) -> None:
        name, shape = info.name, self.shapes[info.name]
        if info.type.tensor_type.elem_type in CODES:
            self._codes[name] = "input"
        if len(shape) != 4:
            self._values[name] = self.builder.add_input(name, shape)
            return
        value = self.builder.add_input(name, tuple(shape[axis] for axis in NCHW_TO_NHWC))
        self.builder.input_permutations[value] = NCHW_TO_NHWC
        self._values[name] = self.builder.nchw(value)

    def _output(self, name: str) -> None:
        if name in self._failed:
            return
        value = self._values.get(name)
        if value is None or self.builder.data(value) is not None:
            raise ModelFormatError(f"output '{name}' of the network does not depend on its input")
        if self._codes.get(name) == "input":
            raise ModelFormatError(
                f"output '{name}' of the network holds the integers of its input"
            )
        if not self.builder.shape(value):
            raise ModelFormatError(f"output '{name}' of the network is a scalar; keep a dimension")
        if len(self.builder.shape(value)) == 4:
            value = self.builder.nhwc(value)
            self.builder.output_permutations[value] = NHWC_TO_NCHW
        elif value != name:
            self.preferred[value] = name
        self.builder.outputs.append(value)

    # --- nodes --------------------------------------------------------------------------------

    def _node(self, node: Any) -> None:
        if any(name in self._failed for name in node.input):
            self._failed.update(name for name in node.output if name)
            return
        label = next((name for name in node.output if name), node.name)
        try:
            self._apply(node)
        except Unsupported as problem:
            self.builder.problem(_label(node), label, problem.reason, problem.substitute)
            self._stand_in(node)
        except ModelFormatError as error:
            if not self.builder.problems:
                raise
            self.builder.problem(_label(node), label, str(error))
            self._failed.update(name for name in node.output if name)

    def _stand_in(self, node: Any) -> None:
        """Values of the right shape for failed results, so that later problems are found."""
        computed = any(self._is_activation(name) for name in node.input)
        for name in node.output:
            kind, shape = self.inferred.get(name, (TensorProto.UNDEFINED, ()))
            if computed and name and kind in FLOATS and shape and min(shape) > 0:
                self._values[name] = self.builder.add_tensor(Tensor(name, shape))
            elif name:
                self._failed.add(name)

    def _apply(self, node: Any) -> None:
        if node.domain not in _DOMAINS:
            raise Unsupported("this operator is not one of ONNX's own", substitute(node.op_type))
        if any(a.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS) for a in node.attribute):
            raise Unsupported("it is control flow, which is not supported", "simplify the model")
        activations = [name for name in node.input if self._is_activation(name)]
        if activations and node.op_type in ("Shape", "Size"):
            self._measure(node, activations[0])
        elif not activations and node.op_type != "DequantizeLinear":
            self._fold(node)
        else:
            self._import(node)

    def _is_activation(self, name: str) -> bool:
        return name in self._values and self.builder.data(self._values[name]) is None

    def _measure(self, node: Any, name: str) -> None:
        """The static shape of an activation."""
        shape = np.array(self.builder.shape(self._values[name]), np.int64)
        a = _attributes(node)
        part = shape[a.get("start", 0) : a.get("end", len(shape))]
        self._constants[node.output[0]] = (
            part if node.op_type == "Shape" else np.array(shape.prod(), np.int64)
        )

    def _fold(self, node: Any) -> None:
        known = {name: self._known(name) for name in node.input if name}
        first = node.input[0] if node.input else ""
        kept = node.op_type in _KEEP_CONSTANTS and bool(first)
        source = self.builder.tensors.get(self._values.get(first, ""))
        for name, data in zip(node.output, fold(node, self.opset, known), strict=True):
            if kept and source is not None and source.quant is not None:
                self._values[name] = self.builder.constant(data, source.name)
                self.entered.add(self._values[name])
                label = self.preferred.get(source.name, source.name)
                self.preferred[self._values[name]] = label
                continue
            self._constants[name] = data
            if kept:
                self._labels[name] = self._labels.get(first, first)

    def _known(self, name: str) -> Array:
        if name in self._constants:
            return self._constants[name]
        data = self.builder.data(self._values.get(name))
        if data is None:
            raise Unsupported(f"its input '{name}' is not there")
        return data

    def _import(self, node: Any) -> None:
        self._check_integers(node)
        importer = self._importers.get(node.op_type)
        if importer is None:
            raise Unsupported("this operator is not supported", substitute(node.op_type))
        names = list(node.output)
        self.builder.scope = next((name for name in names if name), node.op_type)
        self._refuse_empty(node)
        inputs = [self._value(name) for name in node.input]
        spelled = OnnxNode(node.op_type, self.opset, inputs, _attributes(node), names)
        result = behind_sequences(self.builder, spelled, importer)
        results = self._demanded(names, result if isinstance(result, list) else [result])
        first = results[0]
        if node.op_type == "DequantizeLinear" and first and self.builder.data(first) is not None:
            self.entered.add(first)
            self.preferred[first] = self._labels.get(node.input[0], node.input[0])
        made = [(n, v) for n, v in zip(names, results, strict=False) if n and v]
        self._values.update(made)
        for name, value in made:
            self._check_shape(name, value)
        missing = [name for name in names[len(results) :] if name and self._is_read(name)]
        self._failed.update(names[len(results) :])
        if missing:
            raise Unsupported(f"its output '{missing[0]}' is not supported, only the first is")

    def _demanded(self, names: list[str], results: list[Any]) -> list[Value | None]:
        """Results; those that the importer makes on demand, if something reads them."""
        demanded = [bool(name) and self._is_read(name) for name in names]
        demanded += [False] * (len(results) - len(names))
        return [
            (value() if read else None) if callable(value) else value
            for value, read in zip(results, demanded, strict=False)
        ]

    def _refuse_empty(self, node: Any) -> None:
        for name in filter(self._is_activation, node.input):
            shape = self.builder.shape(self._values[name])
            if 0 in shape:
                raise Unsupported(f"its input '{name}' of shape {shape} is empty")

    def _is_read(self, name: str) -> bool:
        outputs = {info.name for info in self.graph.output}
        return name in outputs or any(name in node.input for node in self.graph.node)

    def _value(self, name: str) -> Value | None:
        """The builder's value of a name; constants enter when they are first used."""
        if not name:
            return None
        if name not in self._values:
            data = self._known(name)
            if data.dtype.kind == "f" or data.dtype.name == "bfloat16":
                data = data.astype(np.float32)
            label = self._labels.get(name, name)
            tensor = Tensor(label, data.shape, data.dtype.name, np.asarray(data, order="C"))
            self._values[name] = self.builder.add_tensor(tensor)
            self.entered.add(self._values[name])
        return self._values[name]

    def _check_integers(self, node: Any) -> None:
        """Codes may be moved and dequantized; the integers of an input also become floats."""
        kinds = {self._codes[name] for name in node.input if name in self._codes}
        if node.op_type == "QuantizeLinear":
            kinds = {"quantized"}
        allowed = (*_MOVES, "DequantizeLinear", *(("Cast",) if kinds == {"input"} else ()))
        if kinds and node.op_type not in (*allowed, "QuantizeLinear"):
            hint = substitute(node.op_type) or "compute on floats, or quantize as QDQ"
            raise Unsupported("it computes on integers", hint)
        if kinds and node.op_type not in ("DequantizeLinear", "Cast"):
            self._codes.update(dict.fromkeys((n for n in node.output if n), kinds.pop()))

    def _check_shape(self, name: str, value: Value) -> None:
        """Compare with the shape that ONNX infers, where it does."""
        shape = self.builder.shape(value)
        known = self.inferred.get(name)
        if known is not None and known[0] != TensorProto.UNDEFINED and known[1] != shape:
            raise InvariantError(f"'{name}' was imported with shape {shape}; ONNX has {known[1]}")


def _label(node: Any) -> str:
    return f"{node.domain}.{node.op_type}" if node.domain not in _DOMAINS else str(node.op_type)


def _to_array(tensor: Any) -> Array:
    try:
        return np.asarray(numpy_helper.to_array(tensor))
    except Exception as error:  # sizes and types that contradict each other
        raise ModelFormatError(f"the constant '{tensor.name}' cannot be read ({error})") from error


def _attributes(node: Any) -> dict[str, Any]:
    """Attributes as plain Python values: numbers, text, lists, arrays."""
    return {a.name: _plain(helper.get_attribute_value(a)) for a in node.attribute}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, TensorProto):
        return _to_array(value)
    if isinstance(value, int | float | str):
        return value
    try:
        return [_plain(item) for item in value]
    except TypeError:
        return value
