"""How the importers of single operators are found: a table for each source format.

A module ``edgecnn/frontends/ops/<op>.py`` decorates functions with `aten`, `onnx` or `tflite`,
naming the source operators that the function imports. Names are plain strings, so that reading one
format needs no library of another.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from edgecnn.frontends.builder import Declared, GraphBuilder, Unsupported, Value
from edgecnn.frontends.tflite_hints import type_reason
from edgecnn.ir import INT16, QuantParams, Shape
from edgecnn.operators import operator

ATEN: dict[str, Callable[..., Any]] = {}
ONNX: dict[str, Callable[..., Any]] = {}
TFLITE: dict[str, Callable[..., Any]] = {}


def _register(table: dict[str, Callable[..., Any]], names: tuple[str, ...]) -> Callable[..., Any]:
    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            assert name not in table, f"two importers for {name}"
            table[name] = function
        return function

    return decorate


def aten(*names: str) -> Callable[..., Any]:
    """Mark the importer of ATen operators, such as ``"conv2d.default"``.

    It is called as ``importer(builder, *args, **kwargs)`` with the operator's own arguments in
    their own order; tensors are `Value`s in the layout that torch has (NCHW). It returns the
    `Value` that stands for the result.
    """
    return _register(ATEN, names)


def onnx(*names: str) -> Callable[..., Any]:
    """Mark the importer of ONNX operators, such as ``"Conv"``.

    It is called as ``importer(builder, node)`` with an `OnnxNode`; tensors are `Value`s in the
    layout that ONNX has (NCHW). It returns the `Value` that stands for the output, or a list of
    them where there are several; a function in that list makes an output when something reads it.
    """
    return _register(ONNX, names)


def tflite(*names: str) -> Callable[..., Any]:
    """Mark the importer of TFLite operators, such as ``"CONV_2D"``.

    It is called as ``importer(builder, operator)`` with a `TfliteOperator` and returns the
    `Value` that stands for the output, or a list of them where there are several.
    """
    return _register(TFLITE, names)


@dataclass(frozen=True)
class TfliteOutput:
    """What a ``.tflite`` file declares of an operator's output."""

    name: str
    dtype: str
    shape: Shape
    quant: QuantParams | None


@dataclass(frozen=True)
class TfliteOperator:
    """One operator of a ``.tflite`` file: inputs, options, and what its outputs are declared as.

    ``intermediates`` are tensors that only lend the operator their scales. Variables (the state of
    recurrent operators) are inputs without data.
    """

    name: str
    inputs: list[Value | None]
    options: Any
    outputs: list[TfliteOutput]
    intermediates: list[TfliteOutput] = field(default_factory=list)

    @property
    def output(self) -> TfliteOutput:
        """The first output, which for most operators is the only one."""
        return self.outputs[0]

    def emit(
        self, builder: GraphBuilder, op: str, inputs: list[Value | None], attributes: Any = None
    ) -> Value:
        """Append the node that computes this operator's only output."""
        (value,) = self.emit_many(builder, op, inputs, attributes)
        return value

    def emit_many(
        self, builder: GraphBuilder, op: str, inputs: list[Value | None], attributes: Any = None
    ) -> list[Value]:
        """Append the node that computes all outputs of this operator."""
        if any(o.dtype == INT16 for o in self.outputs) and not operator(op).has_wide_form:
            raise Unsupported(*type_reason(INT16))
        declared = [Declared(o.name, o.dtype, o.quant) for o in self.outputs]
        return builder.emit_many(op, inputs, attributes, declared)


@dataclass(frozen=True)
class OnnxNode:
    """One ONNX node: inputs (None where absent), attributes as Python values, output names."""

    op_type: str
    opset: int
    inputs: list[Value | None]
    attributes: dict[str, Any]
    outputs: list[str]

    def value(self, position: int) -> Value:
        """An input that the operator cannot do without."""
        given = self.inputs[position] if position < len(self.inputs) else None
        if given is None:
            raise Unsupported(f"it has no input {position}")
        return given

    def optional(self, position: int) -> Value | None:
        """An input that may be absent."""
        return self.inputs[position] if position < len(self.inputs) else None


#: TFLite's ActivationFunctionType, by number.
FUSED_ACTIVATIONS = {0: "none", 1: "relu", 2: "relu_n1_to_1", 3: "relu6"}


def fused_activation(code: int) -> str:
    """The activation of a TFLite operator's options."""
    if code not in FUSED_ACTIVATIONS:
        name = {4: "TANH", 5: "SIGN_BIT"}.get(code, str(code))
        raise Unsupported(
            f"its fused activation {name} is not supported", "use a separate activation layer"
        )
    return FUSED_ACTIVATIONS[code]


@dataclass(frozen=True)
class Importers:
    """The importers of single operators, by the source's names for them."""

    aten: dict[str, Callable[..., Any]]
    onnx: dict[str, Callable[..., Any]]
    tflite: dict[str, Callable[..., Any]]


@functools.cache
def importers() -> Importers:
    """Load every importer and return the tables."""
    package = importlib.import_module("edgecnn.frontends.ops")
    for info in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{info.name}")
    return Importers(ATEN, ONNX, TFLITE)
