"""Runs the kernels that can compute a layer on the emulated core, once for all layers like it."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import joblib

from edgecnn.cache import cache_folder, keep
from edgecnn.ir import Graph, Node
from edgecnn.parity import Artifact
from firmware_export.c_writer import CNetwork, Provenance, instance_name, to_c
from firmware_export.chooser.excerpt import rows_of
from firmware_export.device.build import COMPILE_FLAGS, GCC, build
from firmware_export.device.cores import Core
from firmware_export.device.cycles import MODELS
from firmware_export.device.profile import count_layers, flash_bytes
from firmware_export.device.program import Program
from firmware_export.device.target import Target
from firmware_export.exporters import CArray, CLayer, FieldValue, portable_call
from firmware_export.fast_kernel import candidates
from firmware_export.fused_kernel import fused_candidates, pairs
from firmware_export.scratch import generated
from firmware_export.streaming.stream import Stream

#: What the kernel of an operator itself is called, beside the fast ones.
PORTABLE = "portable"
_NAME = "trial"


@dataclass(frozen=True)
class Trial:
    """One kernel on one kind of layer: cycles, and bytes of its code and of its working memory."""

    kernel: str
    cycles: int
    code_bytes: int
    scratch_bytes: int


@dataclass(frozen=True, eq=False)
class Group:
    """Layers of a graph that differ in weights only.

    ``members`` has the places of the nodes of each: one, or several that one call computes.
    ``layers`` has the C call of each for each kernel; portable code comes first, where it can.
    """

    graph: Graph
    members: tuple[tuple[int, ...], ...]
    layers: Mapping[str, tuple[CLayer, ...]]

    @property
    def steps(self) -> tuple[int, ...]:
        """The places of the calls: those of the last nodes."""
        return tuple(member[-1] for member in self.members)

    @property
    def covered(self) -> frozenset[int]:
        """The places of all nodes."""
        return frozenset(step for member in self.members for step in member)

    @property
    def is_fused(self) -> bool:
        """Whether a call computes several nodes."""
        return len(self.members[0]) > 1

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Those of the first layer, which stand for all."""
        return tuple(self.graph.nodes[step] for step in self.members[0])

    @property
    def op(self) -> str:
        """The operator, or operators, in words."""
        return " + ".join(node.op for node in self.nodes)

    def weight_bytes(self, kernel: str, members: Sequence[int] | None = None) -> int:
        """Bytes of the constants of all layers, or of some, packed for a kernel."""
        layers = self.layers[kernel]
        taken = layers if members is None else [layers[i] for i in members]
        return sum(constant_bytes(layer) for layer in taken)


@dataclass(frozen=True, eq=False)
class Trials:
    """What the kernels of a group took."""

    group: Group
    trials: tuple[Trial, ...]


def constant_bytes(layer: CLayer) -> int:
    """Bytes of the arrays that a layer takes."""
    fields = [*layer.fields.values(), *layer.constants.values()]
    return sum(_array_bytes(value) for value in fields)


def _array_bytes(value: FieldValue | CArray) -> int:
    if isinstance(value, CArray):
        return int(value.data.nbytes)
    return 0 if isinstance(value, int) else sum(_array_bytes(part) for part in value)


#: Places of nodes that one call computes, and that call for each kernel.
_Member = tuple[tuple[int, ...], Mapping[str, CLayer]]


def groups(graph: Graph, core: Core) -> tuple[Group, ...]:
    """The layers of an int8 graph that there is a choice for, those alike together.

    The nodes that can be fused come by themselves first, then as what they are together.
    """
    found: dict[str, list[_Member]] = {}
    for member, layers in (*_single(graph, core), *_fused(graph, core)):
        found.setdefault(_signature(member, graph, layers), []).append((member, layers))
    return tuple(
        Group(
            graph,
            tuple(member for member, _ in alike),
            {kernel: tuple(layers[kernel] for _, layers in alike) for kernel in alike[0][1]},
        )
        for alike in found.values()
    )


def _fused(graph: Graph, core: Core) -> list[_Member]:
    """The nodes that one call can compute together, with the calls."""
    nodes = graph.nodes
    found = [((i, j), fused_candidates((nodes[i], nodes[j]), graph, core)) for i, j in pairs(graph)]
    return [(member, layers) for member, layers in found if layers]


def _single(graph: Graph, core: Core) -> list[_Member]:
    """The nodes that there are fast kernels for, or that can be fused, with their calls."""
    fusible = {step for member, _ in _fused(graph, core) for step in member}
    found: list[_Member] = []
    for step, node in enumerate(graph.nodes):
        fast = candidates(node, graph, core)
        if fast or step in fusible:
            found.append(((step,), {**_portable(node, graph), **fast}))
    return found


def _portable(node: Node, graph: Graph) -> dict[str, CLayer]:
    """The kernel of a node's operator itself; views have none."""
    layer = portable_call(node, graph)
    return {} if layer is None else {PORTABLE: layer}


def group_of_one(graph: Graph, core: Core, *, with_fast: bool) -> Group:
    """The only layer of a graph, with the fast kernels for it if wanted, else with portable code.

    Alone in a program portable code is compiled for its one shape, and takes less time than beside
    other layers: a trial says little of it.
    """
    (node,) = graph.nodes
    fast = candidates(node, graph, core) if with_fast else {}
    layers = fast or _portable(node, graph)
    return Group(graph, ((0,),), {kernel: (layer,) for kernel, layer in layers.items()})


def _signature(member: Sequence[int], graph: Graph, layers: Mapping[str, CLayer]) -> str:
    """All that layers have in common whose kernels take the same time."""
    parts = []
    for node in (graph.nodes[step] for step in member):
        tensors = [graph.tensors[name] for name in (*node.inputs, *node.outputs) if name]
        shapes = [(t.shape, t.dtype, t.data is None) for t in tensors]
        parts.append((node.op, node.attributes, shapes))
    kernels = [(k, dict(layer.shape), layer.scratch_bytes) for k, layer in layers.items()]
    return repr((parts, kernels))


# --- measuring --------------------------------------------------------------------------------


def measured(found: Sequence[Group], core: Core, compiler: str) -> tuple[Trials, ...]:
    """The trials of each group, from the cache where they are in it."""
    work = (joblib.delayed(_trials)(group, core, compiler) for group in found)
    return tuple(joblib.Parallel(n_jobs=os.cpu_count(), prefer="threads")(work))


def _trials(group: Group, core: Core, compiler: str) -> Trials:
    excerpt, factor = _excerpt(group, core)
    found = tuple(
        replace(
            trial,
            cycles=int(trial.cycles * factor),
            scratch_bytes=group.layers[trial.kernel][0].scratch_bytes,
        )
        for trial in _tried(excerpt, core, compiler)
    )
    return Trials(group, found)


def _excerpt(group: Group, core: Core) -> tuple[Group, float]:
    """The first layer of a group, on a part of its image if it is large; how much more all is."""
    graph, factor = rows_of(group.graph, group.nodes)
    if factor == 1.0:
        return group, factor
    for member, layers in _fused(graph, core) if group.is_fused else _single(graph, core):
        if set(layers) == set(group.layers):
            return Group(graph, (member,), {k: (layer,) for k, layer in layers.items()}), factor
    return group, 1.0


def _tried(group: Group, core: Core, compiler: str) -> tuple[Trial, ...]:
    graph, chosen = _side_by_side(group)
    network = to_c(graph, _NAME, Provenance("", "", ""), chosen=chosen)
    entry = cache_folder() / f"{_key(network, core, compiler)}.json"
    with contextlib.suppress(OSError, ValueError, TypeError):
        return tuple(Trial(**fields) for fields in json.loads(entry.read_text()))
    trials = _measure(graph, network, group, core, compiler)
    keep(entry, json.dumps([asdict(trial) for trial in trials]).encode())
    return trials


def _side_by_side(group: Group) -> tuple[Graph, dict[str, CLayer]]:
    """A graph that computes a group's first layer once with each kernel, and the fast calls."""
    whole, given = group.graph, group.nodes
    computed = [name for node in given for name in node.outputs]
    taken = dict.fromkeys(n for node in given for n in node.inputs if n and n not in computed)
    tensors = {name: whole.tensors[name] for name in taken}
    nodes: list[Node] = []
    results: list[str] = []
    chosen: dict[str, CLayer] = {}
    for i, (kernel, layers) in enumerate(group.layers.items()):
        ours = {name: f"trial {i}/{o}" for o, name in enumerate(computed)}
        for name, new in ours.items():
            tensors[new] = replace(whole.tensors[name], name=new)
        for node in given:
            ins = tuple(ours.get(name, name) for name in node.inputs)
            nodes.append(replace(node, inputs=ins, outputs=tuple(ours[n] for n in node.outputs)))
        results += nodes[-1].outputs
        if kernel != PORTABLE:
            inside = tuple(ours[name] for name in layers[0].inside)
            chosen[nodes[-1].output] = replace(layers[0], inside=inside)
    inputs = tuple(name for name in taken if whole.is_activation(name))
    return Graph(_NAME, tuple(nodes), tensors, inputs, tuple(results)), chosen


def _measure(
    graph: Graph, network: CNetwork, group: Group, core: Core, compiler: str
) -> tuple[Trial, ...]:
    with tempfile.TemporaryDirectory(prefix="edgecnn-") as folder:
        for name, text in network.files.items():
            (Path(folder) / name).write_text(text)
        artifact = Artifact(graph, b"", _NAME, Path(folder))
        program = build(artifact, core, compiler=compiler)
        profiles, _ = count_layers(artifact, program, Target(core))
    return tuple(
        Trial(
            kernel,
            profile.count.cycles,
            _code_bytes(program, layers[0], profile.index),
            layers[0].scratch_bytes,
        )
        for profile, (kernel, layers) in zip(profiles, group.layers.items(), strict=True)
    )


def _code_bytes(program: Program, layer: CLayer, step: int) -> int:
    """Bytes of the function that computes a layer; compilers may add to a name behind a dot."""
    name = instance_name(_NAME, layer, step) if layer.shape else f"edgecnn_{layer.kernel}"
    return sum(s.size for s in program.symbols.values() if s.name.split(".")[0] == name)


def linked_bytes(
    graph: Graph,
    layers: Mapping[str, CLayer],
    core: Core,
    compiler: str,
    stream: Stream | None = None,
) -> tuple[int, int]:
    """Bytes of code, and of weights, of a whole network with some fast layers."""
    network = to_c(graph, _NAME, Provenance("", "", ""), chosen=layers, stream=stream)
    weights = network.weight_bytes
    with generated(graph, chosen=layers, stream=stream) as artifact:
        return flash_bytes(build(artifact, core, compiler=compiler)) - weights, weights


# --- the cache --------------------------------------------------------------------------------


@functools.cache
def _compiler_version(compiler: str) -> str:
    if compiler == "clang":
        return importlib.metadata.version("ziglang")
    asked = subprocess.run([GCC, "-dumpfullversion"], capture_output=True, text=True, check=True)
    return asked.stdout.strip()


def _key(network: CNetwork, core: Core, compiler: str) -> str:
    """A hash of all that the trials depend on: sources, compiler, flags and cycle table."""
    parts = (
        sorted(network.files.items()),
        core,
        (compiler, _compiler_version(compiler), COMPILE_FLAGS),
        MODELS[core.name],
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()
