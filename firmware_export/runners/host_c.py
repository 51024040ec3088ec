"""Runs the generated C on the host: the same source that a board compiles."""

from __future__ import annotations

import concurrent.futures
import ctypes
import itertools
import os
import tempfile
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn.errors import InvariantError
from edgecnn.ir import Array
from edgecnn.operators import Dialect
from edgecnn.parity import Artifact
from firmware_export.c_writer import environment
from firmware_export.memory.plan import ALIGNMENT
from firmware_export.toolchain import compile_c, host_compiler, native_flag

#: Bytes around the arena that no run may touch, and what they hold.
GUARD_BYTES = 64
GUARD_VALUE = 0x5A

FLAGS = ("-std=c99", "-O3", "-fPIC", "-shared")


class _Arena:
    """An aligned arena between guards."""

    def __init__(self, size: int) -> None:
        self._memory = np.full(size + 2 * GUARD_BYTES + ALIGNMENT, GUARD_VALUE, np.uint8)
        base = self._memory.ctypes.data + GUARD_BYTES
        self._start = GUARD_BYTES + (-base) % ALIGNMENT
        self._end = self._start + size
        self.address = self._memory.ctypes.data + self._start

    def check(self) -> None:
        """Raise `InvariantError` if a byte around the arena was written."""
        guards = (self._memory[: self._start], self._memory[self._end :])
        if any(np.any(guard != GUARD_VALUE) for guard in guards):
            raise InvariantError("the generated C wrote outside its arena")


class HostCSession:
    """Generated C, compiled and loaded. With ``trace`` it shows every tensor."""

    def __init__(self, artifact: Artifact, *, trace: bool) -> None:
        assert artifact.c_directory is not None
        self._graph = graph = artifact.graph
        self._names = artifact.c_tensors or tuple(graph.activations())
        sizes = [graph.tensors[n].nbytes for n in self._names]
        self._offsets = [0, *np.cumsum(sizes).tolist()]
        self._trace = trace
        self._library = self._compile(artifact.c_directory, artifact.name)
        self._arena_size = int(self._library.edgecnn_host_arena_size())

    def _compile(self, directory: Path, name: str) -> Any:
        def ports(names: tuple[str, ...]) -> list[dict[str, Any]]:
            several = len(names) > 1
            return [
                {"suffix": f"_{i}" if several else "", "size": self._graph.tensors[n].nbytes}
                for i, n in enumerate(names)
            ]

        source = (
            environment()
            .get_template("host.c.j2")
            .render(
                name=name,
                NAME=name.upper(),
                trace=self._trace,
                offsets=self._offsets,
                stride=self._offsets[-1],
                inputs=ports(self._graph.inputs),
                outputs=ports(self._graph.outputs),
            )
        )
        build = tempfile.TemporaryDirectory(prefix="edgecnn-")
        weakref.finalize(self, build.cleanup)
        path = Path(build.name)
        (path / "host.c").write_text(source)
        compiler = host_compiler()
        include = f"-I{directory.resolve()}"
        compile_c(
            compiler, [*FLAGS, native_flag(compiler), include, "host.c", "-o", "host.so"], path
        )
        library = ctypes.CDLL(str(path / "host.so"))
        pointer = ctypes.c_void_p
        library.edgecnn_host_run.argtypes = [pointer, ctypes.c_size_t, pointer, pointer, pointer]
        library.edgecnn_host_run.restype = ctypes.c_int
        library.edgecnn_host_arena_size.restype = ctypes.c_uint32
        return library

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Compute samples; see `edgecnn.parity.Session`."""
        count = len(feeds[self._graph.inputs[0]])
        inputs = self._pack(feeds, count)
        outputs = np.empty((count, self._bytes(self._graph.outputs)), np.int8)
        trace = np.empty((count, self._offsets[-1]) if self._trace else (0, 0), np.int8)
        self._call(inputs, outputs, trace)
        tensors = self._unpack(outputs, self._graph.outputs)
        if self._trace:
            tensors |= self._unpack(trace, self._names)
            tensors |= {name: feeds[name] for name in self._graph.inputs}
        return tensors

    def run_on_all_cores(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Compute the outputs of samples, split over threads with an arena each."""
        if self._trace:
            raise InvariantError("a traced network runs on one core only")
        count = len(feeds[self._graph.inputs[0]])
        inputs = self._pack(feeds, count)
        outputs = np.empty((count, self._bytes(self._graph.outputs)), np.int8)
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
        return self._unpack(outputs, self._graph.outputs)

    def _call(self, inputs: Array, outputs: Array, trace: Array) -> None:
        arena = _Arena(self._arena_size)
        status = self._library.edgecnn_host_run(
            arena.address, len(inputs), inputs.ctypes.data, outputs.ctypes.data, trace.ctypes.data
        )
        if status != 0:
            raise InvariantError(f"the generated C ended with status {status}")
        arena.check()

    def _bytes(self, names: tuple[str, ...]) -> int:
        return sum(self._graph.tensors[name].nbytes for name in names)

    def _pack(self, feeds: Mapping[str, Array], count: int) -> Array:
        rows = [feeds[name].reshape(count, -1) for name in self._graph.inputs]
        return np.ascontiguousarray(np.concatenate(rows, axis=1))

    def _unpack(self, rows: Array, names: tuple[str, ...]) -> dict[str, Array]:
        tensors = [self._graph.tensors[name] for name in names]
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
        return HostCSession(artifact, trace=True)


RUNNER = HostCRunner()
