"""An exported network on an emulated core: inputs in, one inference, tensors out."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from edgecnn.errors import GeneratedCodeError
from edgecnn.float_io import float_outputs
from edgecnn.ir import FLOAT32, Array, Tensor
from edgecnn.parity import Artifact
from firmware_export.device.build import PortFunctions, port_functions
from firmware_export.device.cores import Core
from firmware_export.device.counting import Counter, Range
from firmware_export.device.machine import Machine
from firmware_export.device.memory import Memory
from firmware_export.device.program import UNOWNED_SECTIONS, Mark, Program

Call = Callable[..., int]

_GUARD = b"\x5a"
#: What the generated C returns.
_STATUS = {-1: "the arena is a null pointer", -2: "the arena is misaligned"}


class EmulatedNetwork:
    """A network that `build.build` made, loaded and ready to run sample after sample."""

    def __init__(self, artifact: Artifact, program: Program, core: Core, memory: Memory) -> None:
        self.artifact, self.program = artifact, program
        self.graph, self.name = artifact.graph, artifact.name
        self.machine = Machine(program, core, memory)
        self.machine.where = lambda: self._title(self._layer)
        self.arena = program.symbol("edgecnn_arena").address
        self.tensors = artifact.c_tensors or tuple(self.graph.activations())
        self._ends = float_outputs(self.graph) if artifact.float_io else {}
        self._inputs, self._outputs = port_functions(artifact)
        self._layer = 0
        self._rows: bytes = b""

    @property
    def entry(self) -> str:
        """The function that computes the network."""
        return f"{self.name}_{'feed_rows' if self.artifact.is_fed else 'run'}"

    def counter(self) -> Counter:
        """Counts by mark, and holds the code to the memory that it owns, to the byte."""
        program = self.program
        owned = [
            Range(s.address, s.address + s.size, s.writable, not s.writable)
            for s in program.sections
            if s.name not in UNOWNED_SECTIONS
        ]
        ranges = [*owned, Range(*program.stack, writable=True, is_flash=False)]
        counter = Counter(self.machine, program.layer_from, ranges, len(program.layers))
        self.machine.where = lambda: self._title(counter.layer)
        return counter

    def fill(self, sample: Mapping[str, Array]) -> dict[str, Array]:
        """Write the inputs of one sample, int8 or float32; what they are in int8."""
        if self.artifact.is_fed:
            (name,) = self.graph.inputs
            self._rows = sample[name].tobytes()
            return {name: sample[name]}
        filled = {}
        for name, functions in zip(self.graph.inputs, self._inputs, strict=True):
            values, address = sample[name], self._place(functions)
            if values.dtype == np.float32:
                buffer = self.program.symbol("edgecnn_floats").address
                self.machine.write(buffer, values.tobytes())
                self.machine.call(functions.convert, self.arena, buffer)
            else:
                self.machine.write(address, values.tobytes())
            filled[name] = self._read(self.graph.tensors[name], address)
        return filled

    def _place(self, functions: PortFunctions) -> int:
        """Address of an input or output."""
        return self.machine.call(functions.place, self.arena) & 0xFFFF_FFFF

    def run(self, call: Call | None = None) -> None:
        """One inference, by ``call`` where it is given; `GeneratedCodeError` for another status."""
        self._layer = 0
        chosen = call or self.machine.call
        if self.artifact.is_fed:
            self._feed(chosen)
        else:
            self._check(chosen(self.entry, self.arena))

    def _feed(self, call: Call) -> None:
        """Row by row, each from the caller's memory."""
        row = self.program.symbol("edgecnn_row")
        for begin in range(0, len(self._rows), row.size):
            self.machine.write(row.address, self._rows[begin : begin + row.size])
            self._check(call(self.entry, self.arena, row.address, 1))

    def _check(self, status: int) -> None:
        if status != 0:
            reason = _STATUS.get(status, "an unknown reason")
            raise GeneratedCodeError(f"{self.entry} ended with status {status}: {reason}")

    def paint_guards(self) -> None:
        """Fill the memory on both sides of the arena, so that `guards_hold` can tell."""
        for begin, end in self.program.guards:
            self.machine.write(begin, _GUARD * (end - begin))

    def guards_hold(self) -> bool:
        """Whether nothing was written there since."""
        return all(
            self.machine.read(begin, end - begin) == _GUARD * (end - begin)
            for begin, end in self.program.guards
        )

    def trace(self, sample: Mapping[str, Array], call: Call | None = None) -> dict[str, Array]:
        """Every tensor of one sample, run by ``call`` where it is given."""
        found = self.fill(sample)
        rows: dict[str, bytes] = {}

        def keep(mark: Mark) -> None:
            self._layer = self.program.layer_from.get(mark.address, self._layer)
            name = self.tensors[mark.tensor]
            if mark.size and mark.offset is None:
                came = self.machine.read(self.machine.first_register(), mark.size)
                rows[name] = rows.get(name, b"") + came
            elif mark.offset is not None and mark.size:
                found[name] = self._read(self.graph.tensors[name], self.arena + mark.offset)

        with self.machine.at_marks(self.program.marks, keep):
            self.run(call)
        for name, data in rows.items():
            tensor = self.graph.tensors[name]
            found[name] = np.frombuffer(data, tensor.dtype).reshape(tensor.shape)
        return found | self.outputs()

    def outputs(self) -> dict[str, Array]:
        """The outputs after a run, also in float where the network has float ends."""
        found = {}
        for name, functions in zip(self.graph.outputs, self._outputs, strict=True):
            found[name] = self._read(self.graph.tensors[name], self._place(functions))
            if name in self._ends:
                buffer = self.program.symbol("edgecnn_floats").address
                self.machine.call(functions.convert, self.arena, buffer)
                outside = Tensor(self._ends[name], found[name].shape, FLOAT32)
                found[outside.name] = self._read(outside, buffer)
        return found

    def _read(self, tensor: Tensor, address: int) -> Array:
        data = self.machine.read(address, tensor.nbytes)
        return np.frombuffer(data, tensor.dtype).reshape(tensor.shape)

    def _title(self, layer: int) -> str:
        """The layer at a place in the program's, in words; "" after the last."""
        if layer >= len(self.program.layers):
            return ""
        name = self.tensors[self.program.layers[layer]]
        index = next(i for i, node in enumerate(self.graph.nodes) if name in node.outputs)
        return f"layer {index} ({self.graph.nodes[index].op} '{name}')"
