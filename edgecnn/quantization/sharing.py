"""Finds the tensors of a float graph that must have one scale and zero point in its int8 graph.

An operator that only moves values hands the scale of its input on; one that joins tensors
(`OutputRange.SHARED`) makes them all share one. Both hold backwards too: what is joined late is
one set from where it was computed. Such a set gets the union of the ranges of the tensors in it
that are computed or fed; a tensor whose scale is fixed cannot join others and is requantized.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from edgecnn.errors import Problem, UnsupportedError
from edgecnn.ir import INT8, Array, Graph, Node, QuantParams
from edgecnn.operators import OutputRange, operator, operators


@dataclass(eq=False)
class SharedRange:
    """A set of tensors with one range: that of ``activations`` and ``constants`` together.

    ``fixed`` is set where an operator fixes the scale, whatever the values are.
    """

    activations: list[str] = field(default_factory=list)
    constants: list[Array] = field(default_factory=list)
    fixed: QuantParams | None = None


class Sharing:
    """The sets of a float graph, and the inputs of nodes that must be requantized."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._sets: dict[str, SharedRange] = {}
        self._rescaled: dict[str, tuple[int, ...]] = {}
        for name in graph.inputs:
            self._sets[name] = SharedRange([name])
        for node in graph.nodes:
            self._visit(node)

    def ranged(self, name: str) -> SharedRange:
        """The set that a tensor belongs to."""
        return self._sets[name]

    def has_range(self, name: str) -> bool:
        """Whether a tensor is int8 in the int8 graph; indices are not."""
        return name in self._sets

    def rescaled(self, node: Node) -> tuple[int, ...]:
        """Positions of the inputs of a node that must be requantized to the set of its output."""
        return self._rescaled.get(node.output, ())

    def rescaled_name(self, node: Node, position: int) -> str:
        """The name of a requantized input: one that the graph does not have."""
        name = f"{node.output}_input{position}"
        while name in self._graph.tensors:
            name += "_"
        return name

    def _visit(self, node: Node) -> None:
        op = operator(node.op)
        if op.output_dtype != INT8:
            return
        if op.output_range is OutputRange.SAME_AS_INPUT:
            self._sets.update(dict.fromkeys(node.outputs, self._sets[node.inputs[0]]))
        elif op.output_range is OutputRange.SHARED:
            self._join(node)
        else:
            for name in node.outputs:
                self._sets[name] = SharedRange([name], fixed=op.fixed_output)

    def _join(self, node: Node) -> None:
        inputs = {
            position: self._sets[name]
            for position, name in enumerate(node.inputs)
            if self._graph.is_activation(name)
        }
        constants = [data for data in map(self._graph.constant, node.inputs) if data is not None]
        scales = {shared.fixed for shared in inputs.values()}
        if len(scales) == 1 and not (constants and None not in scales):
            whole = SharedRange(constants=constants, fixed=scales.pop())
        else:
            fixed = {i: shared for i, shared in inputs.items() if shared.fixed is not None}
            self._rescaled[node.output] = tuple(fixed)
            _require_requantize(node)
            whole = SharedRange([node.inputs[i] for i in fixed], constants)
            inputs = {i: shared for i, shared in inputs.items() if i not in fixed}
        for shared in dict.fromkeys(inputs.values()):
            whole.activations += shared.activations
            whole.constants += shared.constants
        joined = {id(shared) for shared in inputs.values()}
        members = [name for name, shared in self._sets.items() if id(shared) in joined]
        self._sets.update(dict.fromkeys([*members, *node.outputs], whole))


def _require_requantize(node: Node) -> None:
    if "requantize" not in operators():
        reason = "it joins tensors whose scales are fixed and differ"
        raise UnsupportedError([Problem(node.op, node.output, reason, "join them before")])
