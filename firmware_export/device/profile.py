"""Cycles, instructions and memory traffic of a program on an emulated core, layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgecnn.ir import Graph, Node
from edgecnn.loading import read_bytes
from edgecnn.macs import macs_of
from edgecnn.parity import Artifact, random_feeds
from firmware_export import manifest
from firmware_export.boards import Board
from firmware_export.device.build import build, default_compiler
from firmware_export.device.counting import Count, Counter, Range
from firmware_export.device.cycles import MODELS
from firmware_export.device.machine import Machine
from firmware_export.device.network import EmulatedNetwork
from firmware_export.device.program import Program, parse
from firmware_export.device.target import Target

#: Bytes of an instruction on average: Thumb's are 2 or 4 long, here about as many of each.
_INSTRUCTION_BYTES = 3
#: Stack of a program that does not say how much it needs.
_STACK_OF_OTHERS = 65_536


@dataclass(frozen=True)
class LayerProfile:
    """What one layer took, with those that are computed inside it; traffic in bytes."""

    index: int
    name: str
    op: str
    macs: int
    count: Count

    def to_json(self) -> dict[str, Any]:
        """The layer's entry in ``edgecnn profile --json``."""
        return {
            "index": self.index,
            "name": self.name,
            "op": self.op,
            "macs": self.macs,
            **vars(self.count),
        }


@dataclass(frozen=True)
class Milliseconds:
    """Time at a board's clock: without wait states, and with those of each word from flash.

    A model: accelerators and caches of flash lie in between.
    """

    clock_hz: int
    fastest: float
    slowest: float


@dataclass(frozen=True)
class Profile:
    """One inference on one core. Code counts what is not weights; sizes in bytes."""

    cpu: str
    compiler: str
    is_estimate: bool
    layers: tuple[LayerProfile, ...]
    arena_bytes: int
    stack_bytes: int
    code_bytes: int
    weight_bytes: int
    time: Milliseconds | None = None

    @property
    def total(self) -> Count:
        """The sum over the layers."""
        return sum((layer.count for layer in self.layers), Count())

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all layers."""
        return sum(layer.macs for layer in self.layers)

    def to_json(self) -> dict[str, Any]:
        """The object that ``edgecnn profile --json`` prints."""
        return {
            "cpu": self.cpu,
            "compiler": self.compiler,
            "cycles": self.total.cycles,
            "cycles_are_estimated": self.is_estimate,
            "instructions": self.total.instructions,
            "macs": self.macs,
            "arena_bytes": self.arena_bytes,
            "stack_bytes": self.stack_bytes,
            "code_bytes": self.code_bytes,
            "weight_bytes": self.weight_bytes,
            "milliseconds": None if self.time is None else vars(self.time),
            "layers": [layer.to_json() for layer in self.layers],
        }


def profile_export(directory: Path, target: Target, compiler: str | None = None) -> Profile:
    """Profile the export in a folder; see `profile`. `ModelFormatError` where it holds none."""
    artifact = manifest.open_export(directory)
    weight_bytes = int(manifest.read(directory).get("weight_bytes", 0))
    return profile(artifact, target, weight_bytes=weight_bytes, compiler=compiler)


def profile(
    artifact: Artifact, target: Target, *, weight_bytes: int, compiler: str | None = None
) -> Profile:
    """Run an exported network once on an emulated core, with a random sample, and count.

    Raises `DeviceError` where the code does what a board would not survive, `FitError` where the
    program is larger than the board's memory.
    """
    core, chosen = target.core, compiler or default_compiler()
    program = build(artifact, core, compiler=chosen, memory=target.memory)
    layers, stack_bytes = count_layers(artifact, program, target)
    total = sum((layer.count for layer in layers), Count())
    return Profile(
        cpu=core.name,
        compiler=chosen,
        is_estimate=MODELS[core.name].is_estimate,
        layers=layers,
        arena_bytes=program.symbol("edgecnn_arena").size,
        stack_bytes=stack_bytes,
        code_bytes=flash_bytes(program) - weight_bytes,
        weight_bytes=weight_bytes,
        time=None if target.board is None else _time(target.board, total),
    )


def count_layers(
    artifact: Artifact, program: Program, target: Target
) -> tuple[tuple[LayerProfile, ...], int]:
    """One inference of a program with a random sample: its layers, and bytes of stack."""
    network = EmulatedNetwork(artifact, program, target.core, target.memory)
    feeds = random_feeds(artifact.graph, 1, 0, extremes=False)
    network.fill({name: array[0] for name, array in feeds.items()})
    counter = network.counter()
    network.machine.paint_stack()
    network.run(counter.call)
    counts = counter.counts(MODELS[target.core.name])
    return _by_node(network, counts), network.machine.stack_bytes()


def flash_bytes(program: Program) -> int:
    """Bytes of code and constants."""
    return sum(len(data) for _, data in program.segments)


def _by_node(network: EmulatedNetwork, counts: Sequence[Count]) -> tuple[LayerProfile, ...]:
    """The counts of the nodes that the generated code has, in execution order.

    Those without a mark are computed inside the one that takes what they give, and counted there;
    others that only the ``.tflite`` has give tensors that the code has no number for.
    """
    graph = network.graph
    producers = {name: i for i, node in enumerate(graph.nodes) for name in node.outputs}
    total: dict[int, Count] = {}
    for tensor, count in zip(network.program.layers, counts, strict=True):
        index = producers[network.tensors[tensor]]
        total[index] = total.get(index, Count()) + count
    members = _members(graph, set(total), set(network.tensors))
    return tuple(
        LayerProfile(
            index,
            graph.nodes[index].output,
            " + ".join(node.op for node in members[index]),
            sum(macs_of(graph, node) for node in members[index]),
            count,
        )
        for index, count in sorted(total.items())
    )


def _members(graph: Graph, marked: set[int], numbered: set[str]) -> dict[int, list[Node]]:
    """The nodes that each marked one, by its place, is computed with; itself is the last."""
    consumers = graph.consumers()
    home: dict[str, int] = {}
    members: dict[int, list[Node]] = {index: [] for index in marked}
    for index, node in reversed([*enumerate(graph.nodes)]):
        readers = [home[n.output] for n in consumers[node.output] if n.output in home]
        if index in marked:
            home[node.output] = index
        elif node.output in numbered and readers:
            home[node.output] = readers[0]
        if node.output in home:
            members[home[node.output]].insert(0, node)
    return members


def _time(board: Board, count: Count) -> Milliseconds:
    """From no wait states to those of the slowest flash at each word that comes from it."""
    fetched = count.instructions * _INSTRUCTION_BYTES
    words = (count.flash_reads + fetched) // 4
    milliseconds = 1000 / board.clock_hz
    return Milliseconds(
        board.clock_hz,
        count.cycles * milliseconds,
        (count.cycles + words * board.wait_states) * milliseconds,
    )


@dataclass(frozen=True)
class FunctionProfile:
    """One call of a function of an ELF file."""

    cpu: str
    function: str
    is_estimate: bool
    count: Count
    stack_bytes: int
    result: int
    time: Milliseconds | None = None

    def to_json(self) -> dict[str, Any]:
        """The object that ``edgecnn profile --elf --json`` prints."""
        return {
            "cpu": self.cpu,
            "function": self.function,
            "cycles": self.count.cycles,
            "cycles_are_estimated": self.is_estimate,
            "instructions": self.count.instructions,
            "flash_reads": self.count.flash_reads,
            "ram_reads": self.count.ram_reads,
            "ram_writes": self.count.ram_writes,
            "stack_bytes": self.stack_bytes,
            "result": self.result,
            "milliseconds": None if self.time is None else vars(self.time),
        }


def profile_function(path: Path, function: str, target: Target) -> FunctionProfile:
    """Count one call of a function without arguments in any ELF file for the core.

    Data are loaded where the code expects them, as start-up code would; the stack is at the end
    of RAM. Raises `UserError` for a file that is none, or is linked for other memory.
    """
    program = parse(read_bytes(path), str(path))
    memory, core = target.memory, target.core
    stack = (memory.ram.end - min(_STACK_OF_OTHERS, memory.ram.size // 2), memory.ram.end)
    machine = Machine(program, core, memory, stack)
    regions = (memory.flash, memory.ram)
    ranges = [Range(r.start, r.end, r is memory.ram, r is memory.flash) for r in regions]
    counter = Counter(machine, {}, ranges, 1)
    machine.paint_stack()
    result = counter.call(function)
    model = MODELS[core.name]
    (count,) = counter.counts(model)
    time = None if target.board is None else _time(target.board, count)
    return FunctionProfile(
        core.name, function, model.is_estimate, count, machine.stack_bytes(), result, time
    )
