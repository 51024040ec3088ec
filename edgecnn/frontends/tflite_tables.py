"""Finds tables in a ``.tflite`` file: CAST to int32, ADD 128, GATHER from 256 int8 bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from edgecnn.fixedpoint import INT8_MIN
from edgecnn.ir import INT8, INT32, Array, QuantParams, Shape


@dataclass(frozen=True)
class FoundTable:
    """A GATHER that is a lookup: the tensor whose bytes it looks up, and the 256 outputs."""

    source: int
    values: bytes


class Source(Protocol):
    """What is looked at of a file; tensors go by their index."""

    def dtype(self, index: int) -> str:
        """numpy's name of the type."""
        ...

    def shape(self, index: int) -> Shape:
        """The shape."""
        ...

    def quant(self, index: int) -> QuantParams | None:
        """Scale and zero point, where there are some."""
        ...

    def data(self, index: int) -> Array | None:
        """The data of a constant."""
        ...


def find_tables(
    operators: Sequence[Any], names: Sequence[str], source: Source, outputs: Sequence[int]
) -> tuple[dict[int, FoundTable], set[int]]:
    """The tables by the GATHER's output, and the int32 tensors that serve nothing else.

    ``names[i]`` is the builtin name of ``operators[i]``; ``outputs`` are the network's.
    """
    producers = {
        int(i): (n, op) for n, op in zip(names, operators, strict=True) for i in op.outputs
    }
    tables: dict[int, FoundTable] = {}
    inner: set[int] = set()
    for name, op in zip(names, operators, strict=True):
        if name != "GATHER" or len(op.inputs) != 2 or len(op.outputs) != 1:
            continue
        values, indices = (int(i) for i in op.inputs)
        found = _lookup(values, indices, op, producers, source)
        if found is not None:
            wide, tables[int(op.outputs[0])] = found
            inner |= {wide, indices}
    readers = _readers(names, operators, set(tables))
    inner -= set(outputs)
    while seen_elsewhere := {i for i in inner if not readers.get(i, set()) <= inner}:
        inner -= seen_elsewhere
    return tables, inner


def _lookup(
    values: int, indices: int, op: Any, producers: Mapping[int, tuple[str, Any]], source: Source
) -> tuple[int, FoundTable] | None:
    """The cast tensor and the table of a GATHER, or None where it is no lookup."""
    options, output = op.builtinOptions, int(op.outputs[0])
    if options is not None and (options.axis or options.batchDims):
        return None
    data = _constant(values, source)
    if data is None or data.shape != (256,) or source.dtype(values) != INT8:
        return None
    if source.dtype(output) != INT8 or source.quant(values) != source.quant(output):
        return None
    wide = _before_offset(indices, producers, source)
    if wide is None or producers.get(wide, ("",))[0] != "CAST":
        return None
    cast = int(producers[wide][1].inputs[0])
    if source.dtype(cast) != INT8 or source.dtype(wide) != INT32 or cast < 0:
        return None
    return wide, FoundTable(cast, data.tobytes())


def _before_offset(
    indices: int, producers: Mapping[int, tuple[str, Any]], source: Source
) -> int | None:
    """The tensor that an ADD of 128 turns into indices."""
    name, add = producers.get(indices, ("", None))
    if name != "ADD" or add is None or len(add.inputs) != 2:
        return None
    if add.builtinOptions is not None and add.builtinOptions.fusedActivationFunction:
        return None
    for wide, other in (add.inputs, add.inputs[::-1]):
        offset = _constant(int(other), source)
        if offset is not None and offset.size == 1 and int(offset.reshape(-1)[0]) == -INT8_MIN:
            same = source.shape(int(wide)) == source.shape(indices)
            return int(wide) if same else None
    return None


def _constant(index: int, source: Source) -> Array | None:
    return source.data(index) if index >= 0 else None


def _readers(
    names: Sequence[str], operators: Sequence[Any], tables: set[int]
) -> dict[int, set[int]]:
    """What each tensor goes into: outputs of operators that are no found table."""
    readers: dict[int, set[int]] = {}
    for op in operators:
        results = {int(i) for i in op.outputs}
        for index in op.inputs:
            readers.setdefault(int(index), set()).update(results - tables)
    return readers
