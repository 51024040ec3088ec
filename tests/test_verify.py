from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from edgecnn import verify
from edgecnn.errors import InvariantError
from edgecnn.ir import FLOAT32, INT8, Attributes, Graph, Node, QuantParams
from edgecnn.ops.add import AddAttributes
from edgecnn.ops.fully_connected import FullyConnectedAttributes
from tests.passes.graphs import Sketch, with_tensor
from tests.passes.int8_graphs import arbitrary_int8

TWO_SCALES = QuantParams((0.5, 0.25), (0, 0), 1)


def sound() -> Graph:
    s = Sketch(1, 4)
    y = s.emit("fully_connected", [s.x, s.random("w", 3, 4), s.random("b", 3)],
               FullyConnectedAttributes(), "y")  # fmt: skip
    z = s.emit("add", [y, s.random("c", 3)], AddAttributes(), "z")
    return s.graph(s.emit("relu", [z], name="out")).replace(output_permutations={"out": (0, 1)})


def without(graph: Graph, name: str) -> Graph:
    return graph.replace(tensors={k: v for k, v in graph.tensors.items() if k != name})


def with_node(graph: Graph, index: int, **changes: object) -> Graph:
    nodes = list(graph.nodes)
    nodes[index] = dataclasses.replace(nodes[index], **changes)  # type: ignore[arg-type]
    return graph.replace(nodes=tuple(nodes))


FLOAT_FAULTS: dict[str, tuple[Callable[[Graph], Graph], str, str]] = {
    "order": (lambda g: g.replace(nodes=g.nodes[::-1]), "topological order", "z"),
    "no producer": (lambda g: g.replace(nodes=g.nodes[1:]), "topological order", "y"),
    "output of nothing": (lambda g: g.replace(nodes=g.nodes[:2]), "topological order", "out"),
    "two producers": (lambda g: g.replace(nodes=(*g.nodes, g.nodes[0])), "one producer", "y"),
    "computed input": (
        lambda g: g.replace(nodes=(*g.nodes, Node("relu", ("out",), ("x",)))), "one producer", "x",
    ),
    "constant input": (lambda g: g.replace(inputs=("x", "w")), "one producer", "w"),
    "missing tensor": (lambda g: without(g, "z"), "names exist", "z"),
    "missing constant": (lambda g: without(g, "w"), "names exist", "w"),
    "missing output": (lambda g: g.replace(outputs=("nowhere",)), "names exist", "nowhere"),
    "wrong name": (lambda g: with_tensor(g, "z", name="q"), "names exist", "z"),
    "wrong shape": (lambda g: with_tensor(g, "z", shape=(1, 2)), "shapes", "z"),
    "impossible shape": (lambda g: with_tensor(g, "x", shape=(4, 1, 5)), "shapes", "y"),
    "foreign attributes": (lambda g: with_node(g, 1, attributes=Attributes()), "attributes", "z"),
    "shape of data": (
        lambda g: with_tensor(g, "c", data=np.zeros(4, np.float32)), "constants", "c",
    ),
    "type of data": (lambda g: with_tensor(g, "c", data=np.zeros(3)), "constants", "c"),
    "constant output": (
        lambda g: g.replace(outputs=("c",), output_permutations={}), "outputs", "c",
    ),
    "rank of permutation": (
        lambda g: g.replace(output_permutations={"out": (0, 2, 1)}), "permutations", "out",
    ),
    "no permutation": (lambda g: g.replace(input_permutations={"x": (0, 0)}), "permutations", "x"),
    "permuted inside": (lambda g: g.replace(input_permutations={"z": (0, 1)}), "permutations", "z"),
    "quantized": (
        lambda g: with_tensor(g, "z", quant=QuantParams.per_tensor(1, 0)), "float graph", "z",
    ),
    "int8 inside": (lambda g: with_tensor(g, "z", dtype=INT8), "float graph", "z"),
}  # fmt: skip

INT8_FAULTS: dict[str, tuple[Callable[[Graph], Graph], str, str]] = {
    "no scale": (lambda g: with_tensor(g, "z", quant=None), "int8 graph", "z"),
    "many scales": (lambda g: with_tensor(g, "y", quant=TWO_SCALES), "int8 graph", "y"),
    "float inside": (lambda g: with_tensor(g, "z", dtype=FLOAT32), "int8 graph", "z"),
    "float weights": (
        lambda g: with_tensor(g, "w", dtype=FLOAT32, data=np.zeros((3, 4), np.float32)),
        "int8 graph", "w",
    ),
    "weights without scale": (lambda g: with_tensor(g, "w", quant=None), "int8 graph", "w"),
    "int8 bias": (
        lambda g: with_tensor(g, "b", dtype=INT8, data=np.zeros(3, np.int8)), "int8 graph", "b",
    ),
    "constant without scale": (lambda g: with_tensor(g, "c", quant=None), "int8 graph", "c"),
}  # fmt: skip


def test_sound_graphs_pass() -> None:
    verify.check(sound())
    verify.check(arbitrary_int8(sound()))


@pytest.mark.parametrize("case", FLOAT_FAULTS)
def test_names_rule_and_tensor(case: str) -> None:
    spoil, rule, tensor = FLOAT_FAULTS[case]
    with pytest.raises(InvariantError, match=rf"^{rule}: tensor '{tensor}'"):
        verify.check(spoil(sound()))


@pytest.mark.parametrize("case", INT8_FAULTS)
def test_names_rule_and_tensor_of_int8(case: str) -> None:
    spoil, rule, tensor = INT8_FAULTS[case]
    with pytest.raises(InvariantError, match=rf"^{rule}: tensor '{tensor}'"):
        verify.check(spoil(arbitrary_int8(sound())))
