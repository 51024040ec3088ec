"""Finds out which parameter each constant of an imported graph is.

A front end lays parameters out anew (OIHW becomes OHWI), and the layout passes do so once more. To
learn how, the program is imported twice: as it is, and with a number of its own, a tag, in place
of each value of each parameter. Where the tags end up says which value a constant takes from
where, so that the graph can be computed from the parameters of the moment, with gradients.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import fx, nn
from torch.export import ExportedProgram
from torch.nn.modules.batchnorm import _BatchNorm

from edgecnn.errors import ModelFormatError, UserError
from edgecnn.frontends.aten_walker import Walker
from edgecnn.frontends.builder import Value
from edgecnn.frontends.operands import operand
from edgecnn.ir import Array, Graph, Node, prune
from edgecnn.ops.mul import MulAttributes
from edgecnn.passes.fuse_bias import fuse_bias
from edgecnn.passes.pipeline import PIPELINE

#: Tags are whole numbers that float32 holds, larger than what networks compute with.
_FIRST_TAG, _END_OF_TAGS = 1 << 22, 1 << 24

_DROPOUTS = ("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout")


@dataclass(frozen=True)
class Dropout(MulAttributes):
    """A multiplication by 1, where values are dropped in training: what kind, and their share."""

    kind: str = "dropout"
    share: float = 0.0


class QatWalker(Walker):
    """Imports a program, with tags in place of parameters if asked.

    Dropout leaves a node behind, with `Dropout` for attributes. ``origins`` has the tags that each
    node of the program that holds parameters was given.
    """

    def __init__(self, program: ExportedProgram, is_tagged: Callable[[str], bool] | None) -> None:
        super().__init__(program, "network")
        self.origins: dict[fx.Node, Array] = {}
        self._is_tagged = is_tagged or (lambda target: False)
        self.tainted: set[fx.Node] = set()
        self._tags: dict[int, Array] = {}
        self._next_tag = _FIRST_TAG

    @property
    def constants(self) -> Mapping[fx.Node, Any]:
        """What the nodes of the program that depend on no input hold, among others."""
        return self._results

    def _placeholder(self, node: fx.Node, spec: Any) -> Any:
        result = super()._placeholder(node, spec)
        if isinstance(result, torch.Tensor) and self._is_tagged(spec.target):
            self._tag(node, result)
        return result

    def _call(self, node: fx.Node) -> Any:
        result = super()._call(node)
        if isinstance(result, (torch.Tensor, tuple, list)):
            if self.tainted.intersection(node.all_input_nodes):
                self._tag(node, result)
        elif isinstance(result, str):
            return self._dropout(node, result)
        return result

    def _tag(self, node: fx.Node, result: Any) -> None:
        self.tainted.add(node)
        if not isinstance(result, torch.Tensor) or not result.is_floating_point():
            return
        end = self._next_tag + result.numel()
        if end > _END_OF_TAGS:
            count = _END_OF_TAGS - _FIRST_TAG
            raise UserError(
                f"the network has more than {count:,} parameters, too many for "
                "quantization-aware training"
            )
        tags = np.arange(self._next_tag, end, dtype=np.float32).reshape(tuple(result.shape))
        self.origins[node] = tags
        # A slope under 0 is imported otherwise than one over 0.
        is_negative = result.numel() == 1 and float(result) < 0
        self._tags[id(result)] = -tags if is_negative else tags
        self._next_tag = end

    def _enter(self, tensor: torch.Tensor) -> Value:
        key = id(tensor)
        if key in self._tags and key not in self._values:
            name = self._names.get(key, "constant")
            self._values[key] = self.builder.constant(self._tags[key].copy(), name)
        return super()._enter(tensor)

    def _dropout(self, node: fx.Node, value: Value) -> Value:
        kind = getattr(node.target, "__name__", "").split(".")[0].removesuffix("_")
        if kind not in _DROPOUTS:
            return value
        factors: list[Value | None] = [value, operand(self.builder, 1.0)]
        share: Any = node.args[1]
        attributes = Dropout(kind=kind, share=float(share))
        return self.builder.emit("mul", factors, attributes, name=f"{value}_{kind}")


def imported(walker: QatWalker) -> Graph:
    """Import, and run the passes that only move values: no constant is computed yet."""
    walker.run()
    graph = prune(walker.builder.finish())
    for rewrite in PIPELINE[: PIPELINE.index(fuse_bias)]:
        graph = rewrite(graph)
    return graph


@dataclass(frozen=True, eq=False)
class Layout:
    """How a constant is laid out from parameters.

    From ``sources`` one after another, flattened, value ``index[i]`` is value i of the constant;
    ``-1`` is 0. A single source whose axes were only ordered anew has a ``permutation`` instead.
    """

    sources: tuple[fx.Node, ...]
    shape: tuple[int, ...]
    index: Array
    permutation: tuple[int, ...] | None = None

    def arranged(self, tensors: list[torch.Tensor]) -> torch.Tensor:
        """The constant, from what the sources hold."""
        if self.permutation is not None:
            return tensors[0].permute(self.permutation).reshape(self.shape)
        flat = torch.cat([t.reshape(-1) for t in tensors] + [tensors[0].new_zeros(1)])
        places = torch.from_numpy(self.index).to(flat.device)
        return flat[places].reshape(self.shape)


def _layout(tagged: Array, origins: Mapping[fx.Node, Array]) -> Layout | None:
    """The layout that put tags where they are; None where they were computed with."""
    tagged = np.abs(tagged)
    flat = tagged.reshape(-1).astype(np.float64)
    starts = {node: int(tags.reshape(-1)[0]) for node, tags in origins.items() if tags.size}
    used = tuple(
        node
        for node, start in starts.items()
        if np.any((flat >= start) & (flat < start + origins[node].size))
    )
    index = np.full(flat.shape, -1, np.int64)
    offset = 0
    for node in used:
        start, size = starts[node], origins[node].size
        own = (flat >= start) & (flat < start + size) & (flat == np.floor(flat))
        index[own] = flat[own].astype(np.int64) - start + offset
        offset += size
    if not used or np.any((index < 0) & (flat != 0)):
        return None
    permutation = _permutation(tagged, origins[used[0]]) if len(used) == 1 else None
    return Layout(used, tagged.shape, index, permutation)


def _reproduces(layout: Layout, walker: QatWalker, data: Array) -> bool:
    """Whether the real parameters, laid out so, are the real constant."""
    arranged = layout.arranged([walker.constants[node].float() for node in layout.sources])
    return np.array_equal(arranged.cpu().numpy(), data)


def _permutation(tagged: Array, tags: Array) -> tuple[int, ...] | None:
    if tagged.size != tags.size or tags.ndim > 5:
        return None
    for order in itertools.permutations(range(tags.ndim)):
        if np.array_equal(tags.transpose(order).reshape(-1), tagged.reshape(-1)):
            return order
    return None


@dataclass(frozen=True, eq=False)
class Imported:
    """A program as a graph whose constants are known by the parameters that they are.

    ``layouts`` has the constants that depend on parameters, ``slopes`` the leaky ReLUs whose slope
    is one, by their output. ``targets`` names the parameters among the sources; what else depends
    on some is in ``computed``, and all other nodes of the program are in ``constants``.
    """

    graph: Graph
    layouts: Mapping[str, Layout]
    slopes: Mapping[str, Layout]
    targets: Mapping[fx.Node, str]
    computed: frozenset[fx.Node]
    constants: Mapping[fx.Node, Any]


def trace(program: ExportedProgram, module: nn.Module) -> Imported:
    """Import a functional program of a module with the origin of each constant.

    Raises `UserError` where the program does arithmetic on parameters that are trained, other than
    what torch itself computes of parameters alone.
    """
    walker = QatWalker(program, None)
    graph = imported(walker)
    trained = {
        name for name, p in module.named_parameters(remove_duplicate=False) if p.requires_grad
    }
    statistics = {
        f"{path}.{name}".lstrip(".")
        for path, part in module.named_modules()
        if isinstance(part, _BatchNorm)
        for name in ("running_mean", "running_var")
    }
    needed = trained | statistics
    own = {name for name, _ in module.named_parameters(remove_duplicate=False)}
    own |= {name for name, _ in module.named_buffers(remove_duplicate=False)}
    for is_tagged in (own.__contains__, (own & needed).__contains__):
        tagged_walker = QatWalker(program, is_tagged)
        problem, found = _compare(graph, walker, tagged_walker)
        if found is not None:
            return found
    raise ModelFormatError(
        f"quantization-aware training does not support this network: {problem}; where that need "
        "not be trained, set requires_grad to False before prepare_qat"
    )


def _slope(node: Node) -> Array:
    """The slope of a leaky ReLU, which is a table where it is under 0; 0 for other nodes."""
    attributes: Any = node.attributes
    slope = 0.0
    if node.op == "leaky_relu":
        slope = attributes.alpha
    elif node.op == "table" and attributes.function == "leaky_relu":
        (slope,) = attributes.parameters
    return np.array([slope], np.float32)


def _compare(
    graph: Graph, walker: QatWalker, tagged_walker: QatWalker
) -> tuple[str, Imported | None]:
    """What the tags say of each constant, or what is wrong with it."""
    tagged = imported(tagged_walker)
    shapes = [(n.op, n.outputs, len(n.inputs)) for n in graph.nodes]
    if shapes != [(n.op, n.outputs, len(n.inputs)) for n in tagged.nodes]:
        return "its structure depends on the values of its parameters", None
    layouts: dict[str, Layout] = {}
    slopes: dict[str, Layout] = {}
    for node, other in zip(graph.nodes, tagged.nodes, strict=True):
        if node.attributes != other.attributes:
            layout = _layout(_slope(other), tagged_walker.origins)
            if layout is None or not _reproduces(layout, walker, _slope(node)):
                return f"{node.op} at '{node.output}' is computed from a parameter", None
            slopes[node.output] = layout
        for name, tagged_name in zip(node.inputs, other.inputs, strict=True):
            data, tags = graph.constant(name), tagged.constant(tagged_name)
            if data is None or tags is None or np.array_equal(data, tags):
                continue
            layout = _layout(tags, tagged_walker.origins)
            if layout is None or not _reproduces(layout, walker, data):
                return f"its constant '{name}' is computed from a parameter", None
            layouts[name] = layout
    specs = walker.program.graph_signature.input_specs
    names = {spec.arg.name: spec.target for spec in specs if spec.target is not None}
    touched = tagged_walker.tainted
    targets = {node: names[node.name] for node in touched if node.op == "placeholder"}
    computed = frozenset(touched - targets.keys())
    found = Imported(graph, layouts, slopes, targets, computed, walker.constants)
    return "", found


class Constants:
    """Evaluates the constants of an imported program from the parameters of the moment."""

    def __init__(self, program: Imported, module: nn.Module) -> None:
        self._program = program
        self._tensors: dict[str, torch.Tensor] = dict(module.named_buffers(remove_duplicate=False))
        self._tensors.update(module.named_parameters(remove_duplicate=False))
        self._done: dict[fx.Node, Any] = {}

    def laid_out(self, layout: Layout) -> torch.Tensor:
        """A constant, float32, with gradients to its parameters."""
        return layout.arranged([self._node(source).float() for source in layout.sources])

    def _node(self, node: fx.Node) -> Any:
        if node in self._program.targets:
            return self._tensors[self._program.targets[node]]
        if node not in self._program.computed:
            return self._program.constants[node]
        if node not in self._done:
            target: Any = node.target
            args = fx.node.map_arg(node.args, self._node)
            kwargs = fx.node.map_arg(node.kwargs, self._node)
            self._done[node] = target(*args, **kwargs)
        return self._done[node]
