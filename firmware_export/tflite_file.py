"""A ``.tflite`` file as the interpreters run it: tensors by name, int8 samples in and out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from edgecnn.errors import ModelFormatError
from edgecnn.fixedpoint import dequantize, quantize
from edgecnn.float_io import float_outputs
from edgecnn.frontends.tflite import UINT8_OFFSET, parse, tensor_names
from edgecnn.ir import Array, Graph

#: int8 or float32 sample of one input → the array that the file's own input takes.
Feeder = Callable[[Array], Array]


_MEMORY_PLAN = b"OfflineMemoryAllocation"


def takes_floats(data: bytes) -> bool:
    """Whether the inputs of a file are float32."""
    subgraph = parse(data).subgraphs[0]
    return all(_has_type(subgraph.tensors[int(i)], "FLOAT32") for i in subgraph.inputs)


def _has_type(tensor: Any, name: str) -> bool:
    from ai_edge_litert import schema_py_generated as schema

    return bool(tensor.type == getattr(schema.TensorType, name))


class TfliteFile:
    """A file and the graph that was read from it, matched by tensor names.

    Where the file begins in float or uint8 (a QUANTIZE follows), int8 samples are turned into
    the values that this QUANTIZE maps back to exactly them. Float samples go in as they are
    where the file begins in float, and else as what QUANTIZE makes of them. With ``float_io``
    the float outputs of the file are shown, as far as it has them.
    """

    def __init__(self, data: bytes, graph: Graph, *, float_io: bool = False) -> None:
        self.data = data
        self.graph = graph
        self.model = parse(data)
        self._subgraph = self.model.subgraphs[0]
        index = {name: i for i, name in enumerate(tensor_names(self._subgraph))}
        self.tensors = {n: index[n] for n in graph.activations() if n in index}
        missing = [n for n in (*graph.inputs, *graph.outputs) if n not in index]
        if missing:
            raise ModelFormatError(f"the TFLite file has no tensor '{missing[0]}'")
        self._feeders = [self._feeder(int(i)) for i in self._subgraph.inputs]
        self._shapes = {name: graph.tensors[name].shape for name in self.tensors}
        if float_io:
            self._show_float_outputs()

    @property
    def activation_bytes(self) -> int:
        """Bytes of all tensors that are not constant, as if none shared memory."""
        return sum(8 * int(np.prod(t.shape)) for t in self._subgraph.tensors if t.shape is not None)

    @property
    def keeps_state(self) -> bool:
        """Whether recurrent operators keep variables from one run to the next."""
        return any(tensor.isVariable for tensor in self._subgraph.tensors)

    def _feeder(self, outer: int) -> tuple[int, str, Feeder]:
        """How one input of the file is fed: itself, or through the QUANTIZE that follows it."""
        names = {i: n for n, i in self.tensors.items()}
        if names.get(outer) in self.graph.inputs:
            is_uint8 = _has_type(self._subgraph.tensors[outer], "UINT8")
            to_int8 = self._quantize(names[outer])
            return outer, names[outer], (lambda x: _to_uint8(to_int8(x))) if is_uint8 else to_int8
        for op in self._subgraph.operators:
            inner = names.get(int(op.outputs[0]), "")
            if int(op.inputs[0]) == outer and inner in self.graph.inputs:
                return outer, inner, self._inverse_of_quantize(outer, inner)
        raise ModelFormatError(f"input {outer} of the TFLite file leads to no input of the graph")

    def _inverse_of_quantize(self, outer: int, inner: str) -> Feeder:
        """int8 values to the float or uint8 values that a QUANTIZE turns back into them."""
        tensor = self.graph.tensors[inner]
        if _has_type(self._subgraph.tensors[outer], "FLOAT32"):
            return lambda x: (
                x if x.dtype == np.float32 else dequantize(x, tensor.scale, tensor.zero_point)
            )
        to_int8 = self._quantize(inner)
        return lambda x: _to_uint8(to_int8(x))

    def _quantize(self, name: str) -> Feeder:
        """Float samples of an int8 input as QUANTIZE would turn them into int8."""
        tensor = self.graph.tensors[name]
        return lambda x: (
            quantize(x, tensor.scale, tensor.zero_point) if x.dtype == np.float32 else x
        )

    def _show_float_outputs(self) -> None:
        """Add the float tensors behind int8 outputs to what is shown."""
        names = float_outputs(self.graph)
        for name, outer in zip(self.graph.outputs, self._subgraph.outputs, strict=True):
            if name in names and _has_type(self._subgraph.tensors[int(outer)], "FLOAT32"):
                self.tensors[names[name]] = int(outer)
                self._shapes[names[name]] = self.graph.tensors[name].shape

    def inputs(self, feeds: Mapping[str, Array], sample: int) -> list[tuple[int, Array]]:
        """(tensor index, array) of each input of the file, in its order, for one sample."""
        return [(index, feed(feeds[name][sample])) for index, name, feed in self._feeders]

    def showing_all_tensors(self) -> bytes:
        """The file with every activation added to its outputs.

        tflite-runtime computes some operators in place, over their inputs, even where it is
        asked to keep all tensors; it never does so to an output.
        """
        import flatbuffers

        model: Any = parse(self.data)
        subgraph = model.subgraphs[0]
        first = [int(i) for i in subgraph.outputs]
        inputs = {int(i) for i in subgraph.inputs}
        rest = [i for i in self.tensors.values() if i not in first and i not in inputs]
        subgraph.outputs = np.array([*first, *rest], np.int32)
        model.signatureDefs = None
        builder = flatbuffers.Builder(len(self.data))
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def without_memory_plan(self) -> bytes:
        """The file less the places in the arena that it may prescribe.

        TensorFlow Lite Micro follows them only while tensors share memory, and otherwise stops.
        """
        import flatbuffers

        model: Any = parse(self.data)
        kept = [entry for entry in model.metadata or [] if entry.name != _MEMORY_PLAN]
        if len(kept) == len(model.metadata or []):
            return self.data
        model.metadata = kept
        builder = flatbuffers.Builder(len(self.data))
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def collect(self, samples: list[dict[str, Array]]) -> dict[str, Array]:
        """Stack the tensors of samples, in the graph's shapes; uint8 ones as int8, less 128."""
        stacked = {name: np.stack([s[name] for s in samples]) for name in samples[0]}
        return {
            name: _from_uint8(array).reshape(len(samples), *self._shapes[name])
            for name, array in stacked.items()
        }


def _to_uint8(x: Array) -> Array:
    return (x.astype(np.int16) + UINT8_OFFSET).astype(np.uint8)


def _from_uint8(x: Array) -> Array:
    if x.dtype != np.uint8:
        return x
    return (x.astype(np.int16) - UINT8_OFFSET).astype(np.int8)
