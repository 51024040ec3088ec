"""Writes int8 graphs as plain C99: a network file, a weights file, and the kernels they use."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import numpy as np

from edgecnn import identifiers
from edgecnn.errors import UserError
from edgecnn.ir import INT8, Array, Graph, Node, Tensor
from firmware_export.exporters import CArray, CLayer, FieldValue, portable_call, portable_calls
from firmware_export.memory import checker
from firmware_export.memory.lifetimes import (
    STREAM_SCRATCH,
    call_inputs,
    problem,
    scratch_name,
    storage,
)
from firmware_export.memory.order import least_peak_order
from firmware_export.memory.plan import ALIGNMENT, Plan
from firmware_export.memory.planner import plan
from firmware_export.streaming.stream import Stream
from firmware_export.streaming.tables import stage_calls, tables

_INCLUDE = re.compile(r'#include "edgecnn_(\w+)\.h"')
#: The headers of the float ends, and of layers in bands.
_FLOAT_IO, _STREAM = "float_io", "stream"
_VALUES_A_LINE = {"int8": 20, "int16": 14, "int32": 8, "int64": 5}


@dataclass(frozen=True)
class Provenance:
    """Where generated files come from; the same in every file of an export."""

    version: str
    command: str
    source_sha256: str


@dataclass(frozen=True, eq=False)
class _NamedArray:
    """One array of the weights file."""

    name: str
    ctype: str
    comment: str
    data: Array

    @property
    def lines(self) -> list[str]:
        """The values as source text."""
        step = _VALUES_A_LINE[self.data.dtype.name]
        flat = [_literal(int(v)) for v in self.data.reshape(-1)]
        return [", ".join(flat[i : i + step]) for i in range(0, len(flat), step)]


@dataclass(frozen=True, eq=False)
class _Call:
    """One layer of the network file."""

    step: int
    output: str
    comment: str
    kernel: str
    fields: list[tuple[str, str]]
    shape: list[tuple[str, str]]
    function: str
    arguments: str
    traces: list[tuple[int, int, int]]


@dataclass(frozen=True, eq=False)
class _Instance:
    """A kernel compiled for one shape, or for all: a function of the network file.

    ``shape`` is empty where calls give it.
    """

    name: str
    kernel: str
    shape: list[tuple[str, str]]
    parameters: str
    arguments: str


@dataclass(frozen=True, eq=False)
class _Port:
    """An input or output as the header shows it."""

    suffix: str
    tensor: Tensor
    offset: int | None

    @property
    def shape(self) -> str:
        return "{" + ", ".join(map(str, self.tensor.shape)) + "}"

    @property
    def scale(self) -> str:
        text = repr(float(np.float32(self.tensor.scale)))
        return f"{text}f"


@dataclass(frozen=True, eq=False)
class CNetwork:
    """A network as C: its files by name, its memory plan, and its sizes in bytes.

    ``stored`` are the activations that the C has: all but those inside of layers.
    """

    files: Mapping[str, str]
    plan: Plan
    layers: tuple[CLayer | None, ...]
    weight_bytes: int
    stored: frozenset[str]


def _literal(value: int) -> str:
    # The literal 2147483648 does not fit an int, so C reads its negation as a long.
    return "(-2147483647 - 1)" if value == -(1 << 31) else str(value)


def comment_text(text: str, limit: int = 96) -> str:
    """A name from a model file, made harmless and short enough for a C comment."""
    clean = re.sub(r"[^A-Za-z0-9_.,:;/ \[\]()=-]", "_", text).replace("*/", "_").replace("/*", "_")
    return clean if len(clean) <= limit else clean[: limit - 3] + "..."


def check_name(name: str) -> str:
    """Return a network's name if C and the file system can use it, else raise `UserError`."""
    reason = identifiers.problem(name)
    if reason is not None:
        raise UserError(f"--name '{name}' cannot name C functions and files: {reason}")
    return name


@functools.cache
def environment() -> Any:
    """The templates of generated text."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.PackageLoader("firmware_export", "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


def kernel_files(kernels: Sequence[str]) -> dict[str, str]:
    """The kernel headers that some kernels need, by the name that they get in an export."""
    files: dict[str, str] = {}
    waiting = sorted(set(kernels))
    while waiting:
        stem = waiting.pop()
        if f"edgecnn_{stem}.h" not in files:
            text = (resources.files("firmware_export") / "kernels" / f"{stem}.h").read_text()
            files[f"edgecnn_{stem}.h"] = text
            waiting += _INCLUDE.findall(text)
    return dict(sorted(files.items()))


def instance_name(network: str, layer: CLayer, step: int) -> str:
    """The C name of the function of a layer with a shape, where it is the first of its kind."""
    return f"{network}_{layer.kernel}" if layer.is_shared else f"{network}_kernel_{step}"


def fused_steps(graph: Graph, chosen: Mapping[str, CLayer]) -> dict[int, int]:
    """The places of the nodes that are computed inside a later one, and that one's."""
    places = {node.output: step for step, node in enumerate(graph.nodes)}
    fused = {
        places[inner]: places[output] for output, layer in chosen.items() for inner in layer.inside
    }
    return dict(sorted(fused.items()))


def in_best_order(graph: Graph) -> Graph:
    """An int8 graph with its layers in the order that takes the least memory, as portable code.

    The very same graph where no order is better.
    """
    return least_peak_order(graph, portable_calls(graph))


class _Writer:
    """Collects the arrays, calls and ports of one network."""

    def __init__(
        self, graph: Graph, name: str, chosen: Mapping[str, CLayer], stream: Stream | None
    ) -> None:
        self.graph = graph
        self.name = name
        self.stream = stream
        self.arrays: list[_NamedArray] = []
        self.instances: dict[tuple[str, str], _Instance] = {}
        self._array_names: dict[tuple[str, bytes], str] = {}
        self.fused = fused_steps(graph, chosen)
        banded = {} if stream is None else stream.layers
        self.layers = tuple(
            None
            if step in self.fused
            else banded.get(step) or chosen.get(node.output) or portable_call(node, graph)
            for step, node in enumerate(graph.nodes)
        )
        calls = {step: layer for step, layer in enumerate(self.layers) if layer}
        self.plan = plan(problem(graph, calls, self.fused, stream))
        checker.check(self.plan)
        self.owner = storage(graph)
        self.index: Mapping[str, int] = {tensor: i for i, tensor in enumerate(graph.activations())}

    def offset(self, tensor: str) -> int:
        """Where a tensor's bytes lie in the arena."""
        owner = self.owner[tensor]
        line = None if self.stream is None else self.stream.whole.get(owner)
        return self.plan.offsets[owner] + (0 if line is None else line.above * line.row_bytes)

    def calls(self) -> list[_Call]:
        """The layers behind those of the stream, in execution order.

        Views only appear in the trace of the one before.
        """
        first = 0 if self.stream is None else self.stream.count
        return [
            self.call(step)
            for step in range(first, len(self.graph.nodes))
            if step not in self.fused
        ]

    def _members(self, step: int) -> list[Node]:
        """The nodes that the call of a layer computes; its own is the last."""
        nodes = self.graph.nodes
        return [*(nodes[s] for s, at in self.fused.items() if at == step), nodes[step]]

    def _title(self, step: int) -> str:
        """What a layer computes, for comments."""
        return ", ".join(f"{node.op} {node.output}" for node in self._members(step))

    def call(self, step: int, places: Mapping[str, str] | None = None) -> _Call:
        """The call of a layer; in a stage ``places`` are the pointers that it is given."""
        node, layer = self.graph.nodes[step], self.layers[step]
        output = self.graph.tensors[node.output]
        comment = comment_text(f"{self._title(step)} {list(output.shape)}")
        traces = [
            (self.index[name], self.offset(name), self.graph.tensors[name].nbytes)
            for name in node.outputs
            if places is None
        ]
        if layer is None:
            return _Call(step, node.output, comment, "", [], [], "", "", traces)
        fields = [(k, self._field(step, node, k, v)) for k, v in layer.fields.items()]
        arguments = self._arguments(step, node, layer, places)
        shape = [(k, self._field(step, node, k, v)) for k, v in layer.shape.items()]
        count = len(arguments)
        arguments.insert(0, f"&{self.name}_layer_{step}")
        if layer.is_shared:
            arguments.insert(0, f"&{self.name}_shape_{step}")
        return _Call(
            step,
            node.output,
            comment,
            layer.kernel,
            fields,
            shape if layer.is_shared else [],
            self._instance(step, node, layer, shape, count),
            ", ".join(arguments),
            traces,
        )

    def _instance(
        self, step: int, node: Node, layer: CLayer, shape: list[tuple[str, str]], count: int
    ) -> str:
        """The function that is a layer's kernel; layers of equal shapes share one."""
        if not shape:
            return f"edgecnn_{layer.kernel}"
        if layer.is_shared:
            shape = []
        key = (layer.kernel, repr(shape))
        if key not in self.instances:
            writable = len(node.outputs) + int(layer.takes_scratch or layer.scratch_bytes > 0)
            types = ["const int8_t *"] * (count - writable) + ["int8_t *"] * writable
            names = [f"a{i}" for i in range(count)]
            self.instances[key] = _Instance(
                instance_name(self.name, layer, step),
                layer.kernel,
                shape,
                ", ".join(map("".join, zip(types, names, strict=True))),
                ", ".join(names),
            )
        return self.instances[key].name

    def _arguments(
        self, step: int, node: Node, layer: CLayer, places: Mapping[str, str] | None
    ) -> list[str]:
        """What the kernel is called with after its parameters: inputs, scratch, outputs."""
        arguments = []
        scratch = scratch_name(step) if places is None else STREAM_SCRATCH
        for position, name in enumerate(call_inputs(self.graph, step, self.fused)):
            if position in layer.constants:
                array = layer.constants[position]
                arguments.append(self._array(step, node, f"operand{position}", array))
            elif self.graph.is_activation(name):
                place = self._pointer(name, layer) if places is None else places[name]
                arguments.append(place)
        if layer.joins_inputs:
            arguments = ["(const int8_t *const[]){" + ", ".join(arguments) + "}"]
        if layer.takes_scratch or layer.scratch_bytes:
            offset = self.plan.offsets[scratch] if layer.scratch_bytes else 0
            arguments.append(f"memory + {offset}")
        outputs = [self._pointer(n, layer) if places is None else places[n] for n in node.outputs]
        if layer.joins_outputs:
            outputs = ["(int8_t *const[]){" + ", ".join(outputs) + "}"]
        return arguments + outputs

    def _pointer(self, name: str, layer: CLayer) -> str:
        """A tensor in the arena, as a pointer to its type, or to its bytes."""
        place, dtype = f"memory + {self.offset(name)}", self.graph.tensors[name].dtype
        if dtype == INT8 or layer.is_bytewise:
            return place
        return f"({dtype}_t *)(void *)({place})"

    def _field(self, step: int, node: Node, field: str, value: FieldValue) -> str:
        if isinstance(value, CArray):
            return self._array(step, node, field, value)
        if isinstance(value, int | np.integer):
            return _literal(int(value))
        parts = [self._field(step, node, field, part) for part in value]
        return "{" + ", ".join(parts) + "}"

    def _array(self, step: int, node: Node, field: str, array: CArray) -> str:
        """Name of an array, which enters the weights file once however often it is used."""
        data = np.ascontiguousarray(array.data)
        key = (data.dtype.name, data.tobytes())
        if key not in self._array_names:
            name = f"{self.name}_{step}_{field.rpartition('.')[2]}"
            shape = " x ".join(map(str, data.shape))
            comment = comment_text(
                f"layer {step}, {self._title(step)}: {field}, {shape} ({array.layout})", 160
            )
            self._array_names[key] = name
            self.arrays.append(_NamedArray(name, f"{data.dtype.name}_t", comment, data))
        return self._array_names[key]

    def _place(self, name: str) -> int | None:
        """Where an input or output is; None for rows that are fed."""
        return self.offset(name) if self.owner[name] in self.plan.offsets else None

    def ports(self, names: Sequence[str]) -> list[_Port]:
        """Inputs or outputs; numbered where there are several."""
        several = len(names) > 1
        return [
            _Port(f"_{i}" if several else "", self.graph.tensors[name], self._place(name))
            for i, name in enumerate(names)
        ]


def to_c(
    graph: Graph,
    name: str,
    provenance: Provenance,
    *,
    float_io: bool = False,
    chosen: Mapping[str, CLayer] | None = None,
    stream: Stream | None = None,
) -> CNetwork:
    """Write an int8 graph as C files for a network called ``name``.

    With ``float_io`` there are functions that take and give float32 beside the int8 ones.
    ``chosen`` are fast layers by the first output of their nodes, that of the last where a layer
    has several; the others are portable. The first nodes may be those of a ``stream``; rows that
    are fed are int8. The same arguments give the same text. Raises `UserError` for a name that C
    cannot use, and for float functions where rows are fed.
    """
    if float_io and stream is not None and stream.is_fed:
        raise UserError(
            "a network whose input is fed in rows takes int8; it has no float functions"
        )
    writer = _Writer(graph, check_name(name), chosen or {}, stream)
    stages = stage_calls(writer, stream)
    calls = writer.calls()
    defined = [*(call for stage in stages for call in stage.calls), *calls]
    kernels = sorted({call.kernel for call in defined if call.kernel})
    if stream is not None:
        kernels.append(_STREAM)
    if float_io:
        kernels.append(_FLOAT_IO)
    context = {
        "name": name,
        "NAME": name.upper(),
        "provenance": provenance,
        "command": comment_text(provenance.command, 400),
        "inputs": writer.ports(graph.inputs),
        "is_fed": stream is not None and stream.is_fed,
        "stream": None if stream is None else tables(stream, writer.plan, name),
        "stages": stages,
        "defined": defined,
        "after_stream": writer.index[calls[0].output] if stream and calls else None,
        "outputs": writer.ports(graph.outputs),
        "arena_bytes": max(writer.plan.arena_bytes, 1),
        "alignment": ALIGNMENT,
        "calls": calls,
        "instances": list(writer.instances.values()),
        "kernels": kernels,
        "arrays": writer.arrays,
        "float_io": float_io,
    }
    templates = {
        f"{name}.h": "network.h.j2",
        f"{name}.c": "network.c.j2",
        f"{name}_weights.h": "weights.h.j2",
        f"{name}_weights.c": "weights.c.j2",
    }
    jinja = environment()
    files = {file: jinja.get_template(t).render(context) for file, t in templates.items()}
    weight_bytes = sum(array.data.nbytes for array in writer.arrays)
    stored = frozenset(writer.index).difference(
        name for step in writer.fused for name in graph.nodes[step].outputs
    )
    return CNetwork(
        {**files, **kernel_files(kernels)}, writer.plan, writer.layers, weight_bytes, stored
    )
