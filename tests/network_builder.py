"""Random whole networks out of the case tables of all operators.

A layer is a case that an operator's own test module draws (its ``random_…`` functions, and its
named ``CASES``), fed from tensors that the network has: as they are where the operator takes
their shape and scale, else bent into the shape and scale that the case asks for. So an operator
enters with its case table, and nothing is listed here.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgecnn import verify as invariants
from edgecnn.errors import EdgecnnError
from edgecnn.ir import FLOAT32, INT8, Attributes, Graph, Node, QuantParams, Shape, Tensor, prune
from edgecnn.operators import operator, operators
from edgecnn.ops.concat import ConcatAttributes
from edgecnn.ops.reshape import ReshapeAttributes
from edgecnn.ops.slice import Part, SliceAttributes
from tests.ops.case_table import Case, Constant, Rng, Value, build, draw, problem

#: Values of the largest tensor of a layer; interpreters and simulators stay fast below.
MAX_SIZE = 3000

Maker = Callable[[Rng, str], Case]


@functools.cache
def makers(op: str) -> tuple[Maker, ...]:
    """The functions (rng, name) -> Case of an operator's test module."""
    module = importlib.import_module(f"tests.ops.test_{op}")
    return tuple(
        value
        for name, value in vars(module).items()
        if name.startswith("random_")
        and inspect.isfunction(value)
        and tuple(inspect.signature(value).parameters) == ("rng", "name")
    )


@functools.cache
def named_cases(op: str) -> tuple[Case, ...]:
    """The named cases of an operator that are small."""
    cases: Sequence[Case] = importlib.import_module(f"tests.ops.test_{op}").CASES
    return tuple(case for case in cases if _is_small(case))


def _is_small(case: Case) -> bool:
    graph = build([case])
    return max(tensor.size for tensor in graph.tensors.values()) <= MAX_SIZE


#: Every operator that int8 networks have.
OPERATORS = tuple(sorted(name for name, op in operators().items() if not op.is_float_only))


@dataclass(frozen=True)
class Layer:
    """One operator, and the seed of everything else about it."""

    op: str
    seed: int


def draw_case(layer: Layer, rng: Rng, name: str) -> Case | None:
    """A small case of the layer's operator, or None if ten draws find none."""
    known = named_cases(layer.op)
    if known and rng.random() < 0.2:
        return replace(draw(rng, known), name=name)
    for _ in range(10):
        case = draw(rng, makers(layer.op))(rng, name)
        if problem(case) is None and _is_small(case):
            return case
    return None


class NetworkBuilder:
    """An int8 network that grows layer by layer."""

    def __init__(self, seed: int, inputs: int = 1) -> None:
        rng = np.random.default_rng(seed)
        self.tensors: dict[str, Tensor] = {}
        self.nodes: list[Node] = []
        for number in range(inputs):
            shape = (1, *(int(n) for n in rng.integers(3, 8, draw(rng, (1, 2, 3, 3, 3)))))
            quant = QuantParams.per_tensor(float(rng.uniform(0.01, 0.1)), int(rng.integers(-9, 9)))
            self._enter(Tensor(f"in{number}", shape, INT8, None, quant))
        self.inputs = tuple(self.tensors)

    def _enter(self, tensor: Tensor) -> str:
        self.tensors[tensor.name] = tensor
        return tensor.name

    def _pick(self, rng: Rng, like: Tensor | None = None) -> Tensor:
        """An int8 activation, the last ones more often; one of a tensor's shape and scale."""
        names = [
            name
            for name, t in self.tensors.items()
            if t.data is None
            and t.dtype == INT8
            and (like is None or (t.shape == like.shape and t.quant == like.quant))
        ]
        return self.tensors[names[-1 - min(int(rng.exponential(1.5)), len(names) - 1)]]

    def _emit(
        self, op: str, inputs: Sequence[str], attributes: Attributes, quant: QuantParams | None
    ) -> Tensor:
        """Append a node with one output."""
        shapes = [self.tensors[name].shape for name in inputs]
        (shape, *_) = operator(op).infer_shapes(attributes, shapes)
        name = f"{op}_{len(self.nodes)}"
        self.nodes.append(Node(op, tuple(inputs), (name,), attributes))
        return self.tensors[self._enter(Tensor(name, shape, INT8, None, quant))]

    # --- bending tensors ----------------------------------------------------------------------

    def _bent(self, x: Tensor, shape: Shape, quant: QuantParams | None) -> Tensor:
        """A tensor of some shape and scale, made from another."""
        if x.shape != shape:
            x = self._resized(x, int(np.prod(shape)))
            x = self._emit("reshape", [x.name], ReshapeAttributes(shape), x.quant)
        if x.quant != quant:
            x = self._emit("requantize", [x.name], Attributes(), quant)
        return x

    def _resized(self, x: Tensor, size: int) -> Tensor:
        """A tensor of some number of values: the first ones, or the values again and again."""
        if x.size == size:
            return x
        x = self._emit("reshape", [x.name], ReshapeAttributes((1, x.size)), x.quant)
        while x.size < size:
            copies = min(10, -(-size // x.size))
            x = self._emit("concat", [x.name] * copies, ConcatAttributes(1), x.quant)
        if x.size > size:
            x = self._emit("slice", [x.name], SliceAttributes((None, Part(0, size))), x.quant)
        return x

    # --- layers -------------------------------------------------------------------------------

    def add(self, layer: Layer) -> None:
        """Append a layer; nothing where its operator has no small case."""
        rng = np.random.default_rng(layer.seed)
        name = f"{layer.op}_{len(self.nodes)}"
        if (case := draw_case(layer, rng, name)) is None:
            return
        source = self._pick(rng)
        fitted = _fitted(case, source)
        if fitted is not None:
            self._splice(fitted, [self._pick(rng, source) for _ in _values(case)])
            return
        operands = []
        for value in _values(case):
            wanted = value.tensor("")
            operands.append(self._bent(self._pick(rng), wanted.shape, wanted.quant))
        # Bending added nodes, so that the name would come again.
        self._splice(replace(case, name=f"{layer.op}_{len(self.nodes)}"), operands)

    def _splice(self, case: Case, operands: Sequence[Tensor]) -> None:
        """Append the node of a case, on tensors of the network."""
        graph = build([case])
        (node,) = graph.nodes
        fed = dict(zip(graph.inputs, (x.name for x in operands), strict=True))
        for name, tensor in graph.tensors.items():
            if name not in fed:
                self._enter(tensor)
        inputs = tuple(fed.get(name, name) for name in node.inputs)
        self.nodes.append(replace(node, inputs=inputs))

    def graph(self, seed: int) -> Graph:
        """The network; what nothing reads is an output, and some of what something reads."""
        rng = np.random.default_rng(seed)
        if not self.nodes:
            self._emit("relu", [self.inputs[0]], Attributes(), self.tensors[self.inputs[0]].quant)
        read = {name for node in self.nodes for name in node.inputs}
        computed = [name for node in self.nodes for name in node.outputs]
        outputs = tuple(n for n in computed if n not in read or rng.random() < 0.1)
        used = tuple(name for name in self.inputs if name in read)
        tensors = {n: t for n, t in self.tensors.items() if n not in self.inputs or n in used}
        return Graph("net", tuple(self.nodes), tensors, used, outputs)


def _values(case: Case) -> list[Value]:
    return [operand for operand in case.inputs if isinstance(operand, Value)]


def _fitted(case: Case, source: Tensor) -> Case | None:
    """The case with operands of a tensor's own shape and scale, where the operator takes them."""
    if source.size > MAX_SIZE or operator(case.op).weights_axis is not None:
        return None
    value = Value(source.shape, source.scale, source.zero_point)
    inputs: list[Value | Constant | None] = [
        value if isinstance(operand, Value) else operand for operand in case.inputs
    ]
    fitted = replace(case, inputs=inputs)
    try:
        graph = build([fitted])
        invariants.check(graph)
        small = max(tensor.size for tensor in graph.tensors.values()) <= MAX_SIZE
        return fitted if small and problem(fitted) is None else None
    except (ValueError, IndexError, TypeError, AssertionError, EdgecnnError):
        return None


def random_network(layers: Sequence[Layer], inputs: int, seed: int) -> Graph:
    """A network of some layers."""
    builder = NetworkBuilder(seed, inputs)
    for layer in layers:
        builder.add(layer)
    return builder.graph(seed)


def side_by_side(graphs: Sequence[Graph]) -> Graph:
    """One network of several that share nothing, so that one compilation covers them all."""
    tensors: dict[str, Tensor] = {}
    nodes: list[Node] = []
    inputs: list[str] = []
    outputs: list[str] = []
    for number, graph in enumerate(graphs):
        names = {"": ""} | {name: f"n{number}/{name}" for name in graph.tensors}
        tensors |= {names[n]: replace(t, name=names[n]) for n, t in graph.tensors.items()}
        inputs += [names[n] for n in graph.inputs]
        outputs += [names[n] for n in graph.outputs]
        for node in graph.nodes:
            ports = (tuple(names[n] for n in side) for side in (node.inputs, node.outputs))
            nodes.append(Node(node.op, *ports, node.attributes))
    return Graph("net", tuple(nodes), tensors, tuple(inputs), tuple(outputs))


# --- float networks ---------------------------------------------------------------------------


def as_float(graph: Graph) -> Graph:
    """What the constants of an int8 network stand for, and its operators, in float."""

    def real(tensor: Tensor) -> Tensor:
        if tensor.data is None or tensor.quant is None:
            return Tensor(tensor.name, tensor.shape, FLOAT32, tensor.data)
        scale, zero = np.array(tensor.quant.scale), np.array(tensor.quant.zero_point)
        if tensor.quant.axis is not None and len(scale) > 1:
            sides = [1] * len(tensor.shape)
            sides[tensor.quant.axis] = -1
            scale, zero = scale.reshape(sides), zero.reshape(sides)
        data = ((tensor.data - zero.astype(np.float64)) * scale).astype(np.float32)
        return Tensor(tensor.name, tensor.shape, FLOAT32, data)

    return graph.replace(tensors={name: real(t) for name, t in graph.tensors.items()})


def without(graph: Graph, refused: Mapping[str, str]) -> Graph | None:
    """The network without nodes (by their first output) and all that needs them; None if empty."""
    lost: set[str] = set()
    kept = []
    for node in graph.nodes:
        if node.output in refused or lost.intersection(node.inputs):
            lost.update(node.outputs)
        else:
            kept.append(node)
    outputs = tuple(name for name in graph.outputs if name not in lost)
    if not outputs:
        return None
    smaller = prune(graph.replace(nodes=tuple(kept), outputs=outputs))
    read = {name for node in smaller.nodes for name in node.inputs}
    inputs = tuple(name for name in smaller.inputs if name in read)
    tensors = {n: t for n, t in smaller.tensors.items() if n not in smaller.inputs or n in inputs}
    return smaller.replace(inputs=inputs, tensors=tensors) if inputs else None
