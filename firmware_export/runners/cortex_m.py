"""Runs the exported C as machine code on emulated Cortex-M cores."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from edgecnn.errors import UserError
from edgecnn.ir import Array
from edgecnn.macs import total_macs
from edgecnn.operators import Dialect
from edgecnn.parity import Artifact
from firmware_export.device.build import build, default_compiler, unavailable
from firmware_export.device.cores import CORES, Core
from firmware_export.device.machine import DeviceError
from firmware_export.device.memory import ROOMY, Memory
from firmware_export.device.network import EmulatedNetwork
from firmware_export.device.program import Program

#: Multiply-accumulates that a verification computes on one core at most: half a minute.
MAX_MACS = 300_000_000


class CortexMSession:
    """An exported network in the memory of an emulated core.

    Unicorn lets unaligned accesses pass; where the core does not, every access of the first sample
    is looked at.
    """

    def __init__(self, artifact: Artifact, program: Program, core: Core, memory: Memory) -> None:
        self._made_of = artifact, program, core, memory
        self._network = EmulatedNetwork(*self._made_of)
        self._is_to_check = core.needs_alignment
        self.max_samples = max(1, MAX_MACS // max(1, total_macs(artifact.graph)))

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Compute samples one by one; see `edgecnn.parity.Session`."""
        count = len(next(iter(feeds.values())))
        samples = [self._run({n: array[i] for n, array in feeds.items()}) for i in range(count)]
        return {name: np.stack([sample[name] for sample in samples]) for name in samples[0]}

    def _run(self, sample: Mapping[str, Array]) -> dict[str, Array]:
        if self._is_to_check:
            self._is_to_check = False
            return self._checked(sample)
        self._network.paint_guards()
        tensors = self._network.trace(sample)
        if not self._network.guards_hold():
            self._checked(sample)  # names the write
            raise DeviceError(f"{self._made_of[2].title}: the code wrote outside its arena")
        return tensors

    def _checked(self, sample: Mapping[str, Array]) -> dict[str, Array]:
        """Every tensor of a sample, with a `DeviceError` for the first access that is wrong."""
        network = EmulatedNetwork(*self._made_of)
        return network.trace(sample, network.counter().call)


def emulation_unavailable(compiler: str | None = None) -> str | None:
    """Why code of a compiler, or of any, cannot be run on emulated cores here, or None."""
    if importlib.util.find_spec("unicorn") is None:
        return "the package unicorn is not installed"
    try:
        return unavailable(compiler or default_compiler())
    except UserError as error:
        return str(error)


@dataclass(frozen=True)
class CortexMRunner:
    """The exported C on one core, built by one compiler for one memory."""

    core: Core
    compiler: str | None = None
    memory: Memory = ROOMY
    dialect: Dialect = Dialect.TFLM

    @property
    def name(self) -> str:
        """The core's."""
        return self.core.name

    def built_by(self, compiler: str) -> CortexMRunner:
        """The same with another compiler; `UserError` for an unknown one."""
        unavailable(compiler)
        return replace(self, compiler=compiler)

    def unavailable(self, artifact: Artifact) -> str | None:
        """A bare ``.tflite`` file has no C; the emulator or a compiler may be missing."""
        if artifact.c_directory is None:
            return "there is no generated C beside the model"
        return emulation_unavailable(self.compiler)

    @property
    def _compiler(self) -> str:
        return self.compiler or default_compiler()

    def open(self, artifact: Artifact) -> CortexMSession:
        """Compile, link and load."""
        program = build(artifact, self.core, compiler=self._compiler, memory=self.memory)
        return CortexMSession(artifact, program, self.core, self.memory)


RUNNERS = tuple(CortexMRunner(core) for core in CORES.values())
