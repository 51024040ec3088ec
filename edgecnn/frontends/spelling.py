"""How the importers of single operators are found: a table for each source format.

A module ``edgecnn/frontends/ops/<op>.py`` decorates functions with `aten` or `tflite`, naming
the source operators that the function imports. Names are plain strings, so that reading one
format needs no library of another.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from edgecnn.frontends.builder import GraphBuilder, Unsupported, Value
from edgecnn.ir import QuantParams

ATEN: dict[str, Callable[..., Any]] = {}
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


def tflite(*names: str) -> Callable[..., Any]:
    """Mark the importer of TFLite operators, such as ``"CONV_2D"``.

    It is called as ``importer(builder, operator)`` with a `TfliteOperator` and returns the
    `Value` that stands for the output.
    """
    return _register(TFLITE, names)


@dataclass(frozen=True)
class TfliteOperator:
    """One operator of a ``.tflite`` file: inputs, options, and what its output is declared as."""

    name: str
    inputs: list[Value | None]
    options: Any
    output: str
    output_dtype: str
    output_shape: tuple[int, ...]
    output_quant: QuantParams | None
    extra: dict[str, Any] = field(default_factory=dict)

    def emit(
        self, builder: GraphBuilder, op: str, inputs: list[Value | None], attributes: Any = None
    ) -> Value:
        """Append the node that computes this operator's output."""
        return builder.emit(
            op,
            inputs,
            attributes,
            name=self.output,
            dtype=self.output_dtype,
            quant=self.output_quant,
        )


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


@functools.cache
def importers() -> tuple[dict[str, Callable[..., Any]], dict[str, Callable[..., Any]]]:
    """Load every importer and return the tables (ATen, TFLite)."""
    package = importlib.import_module("edgecnn.frontends.ops")
    for info in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{info.name}")
    return ATEN, TFLITE
