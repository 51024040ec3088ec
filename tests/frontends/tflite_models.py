"""Small ``.tflite`` files, made operator by operator through the schema's object interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edgecnn.ir import Array, Graph, QuantParams, Shape, Tensor
from firmware_export.tflite_writer import IDENTIFIER, TfliteWriter

Quant = tuple[float, int]


class ModelFile:
    """A file under construction. Tensors are known by their index."""

    def __init__(self) -> None:
        self._writer = TfliteWriter(Graph("net", (), {}, (), ()), "test")
        self.schema = self._writer.schema

    def tensor(
        self,
        name: str,
        shape: Shape,
        dtype: str = "int8",
        quant: Quant | QuantParams | None = None,
        data: Array | None = None,
    ) -> int:
        """Append a tensor under exactly this name."""
        params = QuantParams.per_tensor(*quant) if isinstance(quant, tuple) else quant
        index = self._writer.add(Tensor(name, shape, dtype, data, params))
        self._writer.subgraph.tensors[index].name = name
        return index

    def constant(self, name: str, data: Any, dtype: Any = np.int32) -> int:
        """Append a constant without a scale."""
        array = np.asarray(data, dtype)
        return self.tensor(name, array.shape, array.dtype.name, None, array)

    def options(self, name: str, **values: Any) -> Any:
        """An options table, such as ``ReshapeOptions``."""
        table = getattr(self.schema, f"{name}T")()
        for field, value in values.items():
            setattr(table, field, value)
        return table

    def operator(
        self, code: str, inputs: Sequence[int], outputs: Sequence[int], options: Any = None
    ) -> Any:
        """Append an operator and return its entry."""
        self._writer.operator(code, 1, inputs, outputs, options)
        return self._writer.subgraph.operators[-1]

    @property
    def model(self) -> Any:
        """The schema's ``ModelT``."""
        return self._writer.model

    def finish(self, inputs: Sequence[int], outputs: Sequence[int]) -> bytes:
        """Return the file."""
        import flatbuffers

        self._writer.subgraph.inputs = np.array(inputs, np.int32)
        self._writer.subgraph.outputs = np.array(outputs, np.int32)
        builder = flatbuffers.Builder(1 << 12)
        builder.Finish(self.model.Pack(builder), IDENTIFIER)
        return bytes(builder.Output())


def by_litert(data: bytes, x: Array, *, optimized: bool = False) -> Array:
    """What the stock interpreter computes in float; a few operators have no reference kernel."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kinds = OpResolverType
    resolver = kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES if optimized else kinds.BUILTIN_REF
    interpreter = Interpreter(model_content=data, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], x)
    interpreter.invoke()
    result: Array = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return result
