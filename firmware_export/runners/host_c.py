"""Runs the generated C on the host: the same source that a board compiles."""

from __future__ import annotations

import concurrent.futures
import ctypes
import itertools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.errors import GeneratedCodeError, InvariantError
from edgecnn.float_io import float_outputs
from edgecnn.ir import Array, Tensor
from edgecnn.operators import Dialect
from edgecnn.parity import Artifact
from firmware_export.c_writer import environment
from firmware_export.host_library import MAIN, load
from firmware_export.memory.plan import ALIGNMENT

#: Bytes around the arena that no run may touch, and what they hold.
GUARD_BYTES = 64
GUARD_VALUE = 0x5A

#: Networks of up to so many layers are compiled for their shapes, in up to some seconds.
SPECIALIZED_LAYERS = 40


class _Arena:
    """An aligned arena between guards."""

    def __init__(self, size: int) -> None:
        self._memory = np.full(size + 2 * GUARD_BYTES + ALIGNMENT, GUARD_VALUE, np.uint8)
        base = self._memory.ctypes.data + GUARD_BYTES
        self._start = GUARD_BYTES + (-base) % ALIGNMENT
        self._end = self._start + size
        self.address = self._memory.ctypes.data + self._start

    def check(self) -> None:
        """Raise `GeneratedCodeError` if a byte around the arena was written."""
        guards = (self._memory[: self._start], self._memory[self._end :])
        if any(np.any(guard != GUARD_VALUE) for guard in guards):
            raise GeneratedCodeError("the generated C wrote outside its arena")


@dataclass(frozen=True)
class _Port:
    """An input or output as the host sees it.

    ``number`` is that of the tensor inside, which has ``traced_bytes``.
    """

    tensor: Tensor
    number: int
    traced_bytes: int
    is_float: bool

    @property
    def bytes(self) -> int:
        return self.tensor.nbytes


class HostCSession:
    """Generated C, compiled and loaded. With ``trace`` it shows every tensor that it stores.

    With ``float_io`` it is run through its float functions, else in int8.
    """

    def __init__(self, artifact: Artifact, *, trace: bool, float_io: bool = False) -> None:
        assert artifact.c_directory is not None
        self._graph = graph = artifact.graph
        self._names = artifact.c_tensors or tuple(graph.activations())
        sizes = [graph.tensors[n].nbytes for n in self._names]
        self._offsets = [0, *np.cumsum(sizes).tolist()]
        self._trace = trace
        self._ends = float_outputs(graph) if float_io else {}
        self._inputs = [self._port(name, float_io) for name in graph.inputs]
        self._outputs = [self._port(name, name in self._ends) for name in graph.outputs]
        self._float_io = float_io
        self._is_fed = artifact.is_fed
        self._sources = self._read(artifact.c_directory, artifact.name)
        self._open()

    def _port(self, name: str, is_float: bool) -> _Port:
        tensor = self._graph.tensors[name]
        if is_float:
            outside = self._ends.get(name, name)
            tensor = Tensor(outside, tensor.shape)
        return _Port(tensor, self._names.index(name), self._graph.tensors[name].nbytes, is_float)

    def _read(self, directory: Path, name: str) -> dict[str, bytes]:
        """The C by file, and what runs it."""
        files = {p.name: p.read_bytes() for p in directory.glob("*.[ch]") if p.is_file()}
        source: str = (
            environment()
            .get_template("host.c.j2")
            .render(
                name=name,
                NAME=name.upper(),
                trace=self._trace,
                offsets=self._offsets,
                stride=self._offsets[-1],
                inputs=_numbered(self._inputs),
                outputs=_numbered(self._outputs),
                float_io=self._float_io,
                is_fed=self._is_fed,
            )
        )
        return {**files, MAIN: source.encode()}

    def _open(self) -> None:
        """Compile and load; a network that is traced is not run again and again, and not kept."""
        specialized = not self._trace and len(self._graph.nodes) <= SPECIALIZED_LAYERS
        library = load(self._sources, kept=not self._trace, specialized=specialized)
        pointer = ctypes.c_void_p
        library.edgecnn_host_run.argtypes = [pointer, ctypes.c_size_t, pointer, pointer, pointer]
        library.edgecnn_host_run.restype = ctypes.c_int
        library.edgecnn_host_arena_size.restype = ctypes.c_uint32
        if self._trace:
            library.edgecnn_host_shown.restype = ctypes.POINTER(ctypes.c_uint8)
        self._library = library
        self._arena_size = int(library.edgecnn_host_arena_size())

    def __getstate__(self) -> dict[str, Any]:
        """Without the library, which another process compiles, or finds, for its own machine."""
        return {name: value for name, value in vars(self).items() if name != "_library"}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Load the library."""
        vars(self).update(state)
        self._open()

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Compute samples; see `edgecnn.parity.Session`."""
        count = len(feeds[self._graph.inputs[0]])
        inputs = self._pack(feeds, count)
        outputs = np.empty((count, self._output_bytes()), np.int8)
        trace = np.empty((count, self._offsets[-1]) if self._trace else (0, 0), np.int8)
        self._call(inputs, outputs, trace)
        tensors = _unpack(outputs, [port.tensor for port in self._outputs])
        if self._trace:
            traced = _unpack(trace, [self._graph.tensors[name] for name in self._names])
            tensors |= {name: traced[name] for name in self._shown()}
        return tensors

    def _shown(self) -> list[str]:
        """The tensors that the C has; those between layers that it fuses are nowhere."""
        flags = self._library.edgecnn_host_shown()
        return [name for i, name in enumerate(self._names) if flags[i]]

    def run_on_all_cores(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Compute the outputs of samples, split over threads with an arena each."""
        if self._trace:
            raise InvariantError("a traced network runs on one core only")
        count = len(feeds[self._graph.inputs[0]])
        inputs = self._pack(feeds, count)
        outputs = np.empty((count, self._output_bytes()), np.int8)
        cores = os.cpu_count() or 1
        edges = np.linspace(0, count, cores + 1).astype(int)
        none = np.empty((0, 0), np.int8)
        with concurrent.futures.ThreadPoolExecutor(cores) as pool:
            parts = [
                pool.submit(self._call, inputs[a:b], outputs[a:b], none)
                for a, b in itertools.pairwise(edges)
                if b > a
            ]
            for part in parts:
                part.result()
        return _unpack(outputs, [port.tensor for port in self._outputs])

    def _call(self, inputs: Array, outputs: Array, trace: Array) -> None:
        arena = _Arena(self._arena_size)
        status = self._library.edgecnn_host_run(
            arena.address, len(inputs), inputs.ctypes.data, outputs.ctypes.data, trace.ctypes.data
        )
        if status != 0:
            raise GeneratedCodeError(f"the generated C ended with status {status}")
        arena.check()

    def _output_bytes(self) -> int:
        return sum(port.bytes for port in self._outputs)

    def _pack(self, feeds: Mapping[str, Array], count: int) -> Array:
        flat = (np.ascontiguousarray(feeds[n].reshape(count, -1)) for n in self._graph.inputs)
        rows = [array.view(np.int8) for array in flat]
        return np.ascontiguousarray(np.concatenate(rows, axis=1))


def _numbered(ports: Sequence[_Port]) -> list[dict[str, Any]]:
    """Ports as the template reads them."""
    return [
        {
            "suffix": f"_{i}" if len(ports) > 1 else "",
            "number": port.number,
            "size": port.traced_bytes,
            "bytes": port.bytes,
            "is_float": port.is_float,
        }
        for i, port in enumerate(ports)
    ]


def _unpack(rows: Array, tensors: Sequence[Tensor]) -> dict[str, Array]:
    """Tensors by name out of rows that hold one sample each."""
    edges = itertools.pairwise(itertools.accumulate([0, *(t.nbytes for t in tensors)]))
    return {
        t.name: np.ascontiguousarray(rows[:, a:b]).view(t.dtype).reshape(len(rows), *t.shape)
        for t, (a, b) in zip(tensors, edges, strict=True)
    }


class HostCRunner:
    """The generated C, compiled for this machine."""

    name = "host-c"
    dialect = Dialect.TFLM

    def unavailable(self, artifact: Artifact) -> str | None:
        """A bare ``.tflite`` file has no C."""
        return None if artifact.c_directory else "there is no generated C beside the model"

    def open(self, artifact: Artifact) -> HostCSession:
        """Compile with a trace of every tensor."""
        return HostCSession(artifact, trace=True, float_io=artifact.float_io)


RUNNER = HostCRunner()
