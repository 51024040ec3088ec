"""Assembles a `Graph` node by node, with unique names and inferred shapes.

All front ends build through this, so a value is the same thing for each: the name of a tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgecnn.errors import ModelFormatError, Problem, UnsupportedError
from edgecnn.ir import (
    FLOAT32,
    Array,
    Attributes,
    Graph,
    Node,
    QuantParams,
    Shape,
    Tensor,
)
from edgecnn.operators import operator

Value = str

NCHW_TO_NHWC = (0, 2, 3, 1)
NHWC_TO_NCHW = (0, 3, 1, 2)


class Unsupported(Exception):  # noqa: N818 - a signal to the importer, not an error of its own
    """Raised by an importer of one operator: the reason, and what to use instead."""

    def __init__(self, reason: str, substitute: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.substitute = substitute


@dataclass(frozen=True)
class Declared:
    """What the source says of an output: its name, and for int8 networks its quantization."""

    name: str
    dtype: str = FLOAT32
    quant: QuantParams | None = None


class GraphBuilder:
    """A graph under construction.

    ``scope`` is the name that the source gives to the operator being imported; emitted tensors
    take it, with a number where it is taken.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.scope = "value"
        self.tensors: dict[str, Tensor] = {}
        self.nodes: list[Node] = []
        self.inputs: list[str] = []
        self.outputs: list[str] = []
        self.input_permutations: dict[str, tuple[int, ...]] = {}
        self.output_permutations: dict[str, tuple[int, ...]] = {}
        self.problems: list[Problem] = []
        self._constants: dict[tuple[str, str, Shape, bytes], str] = {}

    # --- tensors ------------------------------------------------------------------------------

    def unique(self, name: str) -> str:
        """A name that no tensor has yet: the given one, or with a number behind it."""
        base = name or "value"
        candidate, number = base, 1
        while candidate in self.tensors:
            candidate, number = f"{base}_{number}", number + 1
        return candidate

    def add_tensor(self, tensor: Tensor) -> Value:
        """Enter a tensor under a unique name."""
        name = self.unique(tensor.name)
        self.tensors[name] = Tensor(name, tensor.shape, tensor.dtype, tensor.data, tensor.quant)
        return name

    def add_input(
        self, name: str, shape: Shape, dtype: str = FLOAT32, quant: QuantParams | None = None
    ) -> Value:
        """Add a graph input."""
        value = self.add_tensor(Tensor(name, shape, dtype, None, quant))
        self.inputs.append(value)
        return value

    def constant(
        self, data: Array, name: str = "constant", quant: QuantParams | None = None
    ) -> Value:
        """Add a constant; equal unquantized constants are shared."""
        data = np.ascontiguousarray(data)
        key = (name, data.dtype.str, data.shape, data.tobytes())
        if quant is None and key in self._constants:
            return self._constants[key]
        value = self.add_tensor(Tensor(name, data.shape, data.dtype.name, data, quant))
        if quant is None:
            self._constants[key] = value
        return value

    def shape(self, value: Value) -> Shape:
        """Shape of a value."""
        return self.tensors[value].shape

    def data(self, value: Value | None) -> Array | None:
        """Data of a constant; None for an absent or computed value."""
        return self.tensors[value].data if value else None

    # --- nodes --------------------------------------------------------------------------------

    def emit(
        self,
        op: str,
        inputs: list[Value | None],
        attributes: Attributes | None = None,
        *,
        name: str = "",
        dtype: str = FLOAT32,
        quant: QuantParams | None = None,
    ) -> Value:
        """Append a node with one output and return that output's name."""
        declared = Declared(name or self.scope, dtype, quant)
        (value,) = self.emit_many(op, inputs, attributes, [declared])
        return value

    def emit_many(
        self,
        op: str,
        inputs: list[Value | None],
        attributes: Attributes | None,
        outputs: Sequence[Declared],
    ) -> list[Value]:
        """Append a node with the declared outputs and return their names."""
        attributes = attributes if attributes is not None else Attributes()
        label = outputs[0].name
        shapes = [self.shape(value) if value else () for value in inputs]
        try:
            results = operator(op).infer_shapes(attributes, shapes)
        except (ValueError, IndexError, TypeError, ZeroDivisionError) as error:
            raise ModelFormatError(
                f"operator {op} at '{label}' does not fit its inputs' shapes {shapes}: {error}"
            ) from error
        if any(n < 1 for shape in results for n in shape):
            raise ModelFormatError(
                f"operator {op} at '{label}' would have outputs of shapes {results} from inputs "
                f"of shapes {shapes}"
            )
        names = [
            self.add_tensor(Tensor(d.name, shape, d.dtype, None, d.quant))
            for d, shape in zip(outputs, results, strict=True)
        ]
        given = tuple(value or "" for value in inputs)
        self.nodes.append(Node(op, given, tuple(names), attributes))
        return names

    def transpose(self, x: Value, permutation: tuple[int, ...], suffix: str) -> Value:
        """Append a transpose, which the passes move and cancel."""
        from edgecnn.ops.transpose import TransposeAttributes

        return self.emit("transpose", [x], TransposeAttributes(permutation), name=x + suffix)

    def nhwc(self, x: Value) -> Value:
        """An NCHW value as NHWC."""
        return self.transpose(x, NCHW_TO_NHWC, "_nhwc")

    def nchw(self, x: Value) -> Value:
        """An NHWC value as NCHW."""
        return self.transpose(x, NHWC_TO_NCHW, "_nchw")

    # --- the end ------------------------------------------------------------------------------

    def problem(self, operator_name: str, tensor: str, reason: str, substitute: str = "") -> None:
        """Note an operator that cannot be imported, and go on to find the others."""
        self.problems.append(Problem(operator_name, tensor, reason, substitute))

    def finish(self, source_sha256: str = "") -> Graph:
        """Return the graph, or raise `UnsupportedError` with every problem that was noted."""
        if self.problems:
            raise UnsupportedError(self.problems)
        return Graph(
            name=self.name,
            nodes=tuple(self.nodes),
            tensors=dict(self.tensors),
            inputs=tuple(self.inputs),
            outputs=tuple(self.outputs),
            input_permutations=dict(self.input_permutations),
            output_permutations=dict(self.output_permutations),
            source_sha256=source_sha256,
        )
