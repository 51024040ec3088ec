"""Boots the exported C on QEMU's models of Arm's MPS2 boards: a second, independent emulator."""

from __future__ import annotations

import struct
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from edgecnn.errors import InvariantError
from edgecnn.float_io import float_outputs
from edgecnn.ir import Array, Tensor
from edgecnn.macs import total_macs
from edgecnn.operators import Dialect
from edgecnn.parity import Artifact
from firmware_export.device import build, qemu
from firmware_export.device.qemu import Image, Port, QemuMachine

#: Multiply-accumulates that a verification computes on one machine at most: some ten seconds.
MAX_MACS = 1_000_000_000


class QemuSession:
    """An image of an exported network; each run boots it once for all samples."""

    def __init__(self, artifact: Artifact, machine: QemuMachine, compiler: str) -> None:
        self._graph = graph = artifact.graph
        names = artifact.c_tensors or tuple(graph.activations())
        ends = float_outputs(graph) if artifact.float_io else {}
        outputs = [ends.get(name, name) for name in graph.outputs]
        #: The tensor of each record; outputs come once more, as the functions of the C give them.
        self._shown = [graph.tensors[name] for name in names]
        self._shown += [
            Tensor(outside, graph.tensors[name].shape) if name in ends else graph.tensors[name]
            for name, outside in zip(graph.outputs, outputs, strict=True)
        ]
        floats = {name for name in graph.inputs if artifact.float_io}
        inputs_ports = _ports([graph.tensors[n] for n in graph.inputs], names, floats)
        outputs_ports = [
            replace(port, record=len(names) + i)
            for i, port in enumerate(
                _ports([graph.tensors[n] for n in graph.outputs], names, set(ends))
            )
        ]
        folder = tempfile.TemporaryDirectory(prefix="edgecnn-")
        weakref.finalize(self, folder.cleanup)
        self.image = Image(
            artifact, machine, compiler, Path(folder.name), (inputs_ports, outputs_ports)
        )
        self.max_samples = max(4, MAX_MACS // max(1, total_macs(graph)))

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Compute samples; see `edgecnn.parity.Session`."""
        count = len(feeds[self._graph.inputs[0]])
        rows = [
            np.ascontiguousarray(feeds[name]).reshape(count, -1).view(np.uint8)
            for name in self._graph.inputs
        ]
        records = self.image.boot(np.concatenate(rows, axis=1).tobytes())
        return self._unpack(records, count)

    def _unpack(self, records: bytes, count: int) -> dict[str, Array]:
        """Tensors by name out of the records of samples, which are the same for each sample."""
        stride, rest = divmod(len(records), count)
        if rest:
            raise InvariantError("QEMU wrote records of different sizes for different samples")
        samples = np.frombuffer(records, np.uint8).reshape(count, stride)
        parts: dict[int, list[Array]] = {}
        at = 0
        while at < stride:
            header = samples[:, at : at + 8]
            number, size = struct.unpack("<2I", header[0].tobytes())
            if np.any(header != header[0]) or number >= len(self._shown):
                raise InvariantError(f"QEMU wrote a wrong record, number {number}")
            parts.setdefault(number, []).append(samples[:, at + 8 : at + 8 + size])
            at += 8 + size
        tensors: dict[str, Array] = {}
        for number, rows in parts.items():
            tensor, values = self._shown[number], np.concatenate(rows, axis=1)
            if values.shape[1] != tensor.nbytes:
                raise InvariantError(f"QEMU wrote a wrong record of tensor '{tensor.name}'")
            tensors[tensor.name] = values.view(tensor.dtype).reshape(count, *tensor.shape)
        return tensors


def _ports(tensors: Sequence[Tensor], names: Sequence[str], floats: set[str]) -> list[Port]:
    return [
        Port(
            suffix=f"_{i}" if len(tensors) > 1 else "",
            number=names.index(tensor.name),
            traced_bytes=tensor.nbytes,
            bytes=4 * tensor.size if tensor.name in floats else tensor.nbytes,
            is_float=tensor.name in floats,
        )
        for i, tensor in enumerate(tensors)
    ]


@dataclass(frozen=True)
class QemuRunner:
    """The exported C on one machine, built by one compiler."""

    machine: QemuMachine
    compiler: str | None = None
    dialect: Dialect = Dialect.TFLM

    @property
    def name(self) -> str:
        """That of the machine, after QEMU's."""
        return f"qemu-{self.machine.name}"

    def built_by(self, compiler: str) -> QemuRunner:
        """The same with another compiler; `UserError` for an unknown one."""
        build.unavailable(compiler)
        return replace(self, compiler=compiler)

    def unavailable(self, artifact: Artifact) -> str | None:
        """A bare ``.tflite`` file has no C; QEMU or a compiler may be missing."""
        if artifact.c_directory is None:
            return "there is no generated C beside the model"
        return qemu.unavailable() or build.unavailable(self._compiler)

    @property
    def _compiler(self) -> str:
        return self.compiler or build.default_compiler()

    def open(self, artifact: Artifact) -> QemuSession:
        """Compile and link; `FitError` where the machine has too little memory."""
        return QemuSession(artifact, self.machine, self._compiler)


RUNNERS = tuple(QemuRunner(machine) for machine in qemu.MACHINES)
