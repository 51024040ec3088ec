"""Moves transposes down the graph until they cancel, and folds those at its ends away.

One sweep in execution order: a transpose is not copied but remembered as a `View` of its input.
A node that can work in the layout of the source does, and its output is a view again; one that
cannot gets the transpose written out before it. Chains and pairs of transposes thus melt by
themselves. A flattened view ends in the columns of a fully connected layer.

All of this moves values and computes none, so it holds for int8 graphs as well.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from edgecnn.ir import Array, Attributes, Graph, Node, Shape, Tensor, prune
from edgecnn.operators import operator
from edgecnn.ops.reshape import ReshapeAttributes
from edgecnn.ops.transpose import TransposeAttributes
from edgecnn.passes.editing import (
    compose,
    invert,
    is_identity,
    permuted,
    renamed,
    same_quant,
    unique_name,
)
from edgecnn.passes.views import View, narrowed, regrouped, reshaped
from edgecnn.reductions import ReduceAttributes


def cancel_transposes(graph: Graph, *, keep_layout: bool = False) -> Graph:
    """Return an equal graph with fewer transposes, or the graph itself where none can go.

    With ``keep_layout``, inputs and outputs stay as they are laid out, and a tensor that is now
    computed in another layout gets another name.
    """
    swept = _Sweep(graph, keep_layout).run()
    result = swept if keep_layout else _fold_input_transposes(swept)
    return result if _transposes(result) <= _transposes(graph) else graph


def _transposes(graph: Graph) -> int:
    return sum(node.op == "transpose" for node in graph.nodes)


class _Sweep:
    """The graph being rewritten: nodes and tensors so far, and a view of each old activation."""

    def __init__(self, graph: Graph, keep_layout: bool) -> None:
        self.graph = graph
        self.keep_layout = keep_layout
        self.consumers = graph.consumers()
        self.wanted = _next_transposes(graph)
        self.nodes: list[Node] = []
        self.tensors: dict[str, Tensor] = {}
        self.views: dict[str, View] = {}
        self._written: dict[View, str] = {}
        self._names: dict[str, str] = {}

    def run(self) -> Graph:
        for name in self.graph.inputs:
            self.tensors[name] = self.graph.tensors[name]
            self.views[name] = View.plain(name, self.tensors[name].shape)
        for node in self.graph.nodes:
            if not self._rewrite(node):
                self._copy(node)
        outputs, permutations = self._ends()
        if self.keep_layout:
            self._rename_moved()
        graph = self.graph.replace(
            nodes=tuple(self.nodes),
            tensors=self.tensors,
            outputs=outputs,
            output_permutations=permutations,
        )
        return renamed(prune(graph), self._names)

    # --- nodes ----------------------------------------------------------------------------------

    def _rewrite(self, node: Node) -> bool:
        """Apply the rule of an operator; False where the node needs its inputs as they were."""
        rule = _rule(node)
        views = [self.views[name] for name in self.graph.activation_inputs(node)]
        if not views:
            return False
        if node.op != "transpose" and all(view.is_trivial for view in views):
            return False
        # A rescaling in disguise is no pure move; whoever exports the graph will refuse it.
        if node.op in _MOVES and not same_quant(self.graph, node):
            return False
        return rule(self, node, views[0])

    def _copy(self, node: Node) -> None:
        inputs = tuple(self._input(name) for name in node.inputs)
        for name in node.outputs:
            self.tensors[name] = self.graph.tensors[name]
            self.views[name] = View.plain(name, self.tensors[name].shape)
        self.nodes.append(dataclasses.replace(node, inputs=inputs))

    def _input(self, name: str) -> str:
        if self.graph.is_activation(name):
            return self.written(name)
        if name:
            self.tensors[name] = self.graph.tensors[name]
        return name

    def emit(
        self, node: Node, inputs: tuple[str, ...], attributes: Attributes
    ) -> tuple[Shape, ...]:
        """Append a node that computes, in another layout, what ``node`` does; return its shapes."""
        shapes = [self.tensors[name].shape if name else () for name in inputs]
        results = operator(node.op).infer_shapes(attributes, shapes)
        for name, shape in zip(node.outputs, results, strict=True):
            self.tensors[name] = dataclasses.replace(self.graph.tensors[name], shape=shape)
        self.nodes.append(Node(node.op, inputs, node.outputs, attributes))
        return results

    def constant(self, name: str, data: Array) -> str:
        """Enter a constant in another layout, under its name where no other node reads it."""
        old = self.graph.tensors[name]
        sole = len(self.consumers[name]) == 1
        fresh = name if sole else unique_name({**self.graph.tensors, **self.tensors}, name)
        data = np.ascontiguousarray(data)
        self.tensors[fresh] = Tensor(fresh, data.shape, old.dtype, data, old.quant)
        return fresh

    # --- transposes that stay -------------------------------------------------------------------

    def written(self, name: str) -> str:
        """The name of a tensor that holds an old activation in its own layout."""
        view = self.views[name]
        value = self.write(view, name)
        if view.source == name and value != name and name not in self._names:
            # The name belongs to the values in their own order.
            inner = unique_name({**self.graph.tensors, **self.tensors}, f"{name}_inner")
            self._names.update({name: inner, value: name})
        return value

    def write(self, view: View, name: str) -> str:
        """Write a view out with real nodes, once."""
        if view.is_trivial:
            return view.source
        if view not in self._written:
            value = view.source
            if not view.keeps_order:
                split, order = narrowed(view.split, view.permutation)
                value = self._reshape(value, split, name)
                value = self._move(
                    value, "transpose", TransposeAttributes(order), permuted(split, order), name
                )
            self._written[view] = self._reshape(value, view.shape, name)
        return self._written[view]

    def _reshape(self, value: str, shape: Shape, name: str) -> str:
        if self.tensors[value].shape == shape:
            return value
        return self._move(value, "reshape", ReshapeAttributes(shape), shape, name)

    def _move(self, value: str, op: str, attributes: Attributes, shape: Shape, name: str) -> str:
        """Append a transpose or reshape, named after the tensor that it restores."""
        if name in self.tensors:
            name = unique_name({**self.graph.tensors, **self.tensors}, f"{name}_{op}")
        self.tensors[name] = dataclasses.replace(self.tensors[value], name=name, shape=shape)
        self.nodes.append(Node(op, (value,), (name,), attributes))
        return name

    # --- the end --------------------------------------------------------------------------------

    def _ends(self) -> tuple[tuple[str, ...], dict[str, tuple[int, ...]]]:
        """The outputs and their permutations; no two outputs become one tensor."""
        views = [self.views[name] for name in self.graph.outputs]
        taken = {*self.graph.inputs, *(view.source for view in views if view.is_trivial)}
        outputs: list[str] = []
        permutations: dict[str, tuple[int, ...]] = {}
        for name, view in zip(self.graph.outputs, views, strict=True):
            after = self.graph.output_permutations.get(name, tuple(range(len(view.shape))))
            folded = compose(view.permutation, after) if view.is_plain else after
            may_fold = view.is_plain and not self.keep_layout and folded[:1] == (0,)
            if may_fold and view.source not in (*taken, *outputs):
                output, after = view.source, folded
            else:
                output = self.written(name)
            if output in (*self.graph.inputs, *outputs):
                output = self._move(
                    output, "reshape", ReshapeAttributes(view.shape), view.shape, name
                )
            outputs.append(output)
            if not is_identity(after):
                permutations[output] = after
        return tuple(outputs), permutations

    def _rename_moved(self) -> None:
        """Give tensors that are computed in another layout a name of their own."""
        for name, view in self.views.items():
            if view.source == name and not view.is_trivial and name not in self._names:
                taken = {*self.graph.tensors, *self.tensors, *self._names.values()}
                self._names[name] = unique_name(taken, f"{name}_inner")


# --- rules: each returns False, having changed nothing, where it does not apply -------------------


def _transpose(sweep: _Sweep, node: Node, view: View) -> bool:
    order = _attributes(node).permutation
    if not view.is_plain:
        joined, permutation = regrouped(view)
        source = sweep.write(joined, node.inputs[0])
        view = View.plain(source, sweep.tensors[source].shape, permutation)
    sweep.views[node.output] = View.plain(
        view.source, view.source_shape, compose(view.permutation, order)
    )
    return True


def _reshape(sweep: _Sweep, node: Node, view: View) -> bool:
    target = _attributes(node).shape
    moved = None if view.keeps_order or not view.is_plain else reshaped(view, target)
    shape, permutation = (target, None) if moved is None else moved
    sweep.emit(node, (view.source,), ReshapeAttributes(shape))
    if view.keeps_order or moved is not None:
        sweep.views[node.output] = View.plain(node.output, shape, permutation)
    else:
        sweep.views[node.output] = View(node.output, target, view.split, view.permutation, target)
    return True


def _elementwise(sweep: _Sweep, node: Node, _: View) -> bool:
    """Compute in the layout of that input which leaves the fewest transposes to write."""
    graph, shape = sweep.graph, sweep.graph.tensors[node.output].shape
    views = [sweep.views[name] for name in graph.activation_inputs(node)]
    leaders = [
        view
        for view in views
        if (len(view.shape) == len(shape) if view.is_plain else view.shape == shape)
        and all(_follows(view, other) for other in views)
    ]
    if not leaders:
        return False
    wanted = sweep.wanted.get(node.output)
    lead = min(leaders, key=lambda view: _cost(view, views, wanted))
    if lead.is_trivial:
        return False
    inputs = tuple(_operand(sweep, lead, name) for name in node.inputs)
    (inner,) = sweep.emit(node, inputs, node.attributes)
    sweep.views[node.output] = (
        View.plain(node.output, inner, lead.permutation)
        if lead.is_plain
        else dataclasses.replace(lead, source=node.output)
    )
    return True


def _next_transposes(graph: Graph) -> dict[str, tuple[int, ...]]:
    """The order of the first transpose that reads a tensor, directly or past elementwise nodes."""
    orders: dict[str, tuple[int, ...]] = {}
    for node in reversed(graph.nodes):
        order = orders.get(node.output) if operator(node.op).is_elementwise else None
        if node.op == "transpose":
            order = _attributes(node).permutation
        if order is not None:
            orders.update(dict.fromkeys(graph.activation_inputs(node), order))
    return orders


def _cost(lead: View, views: Sequence[View], wanted: tuple[int, ...] | None) -> int:
    """Transposes to write for the other inputs, and for the output where it is read."""
    others = {view.permutation for view in views if view.is_plain} - {lead.permutation}
    identity = tuple(range(len(lead.permutation)))
    after = identity if wanted is None else wanted
    settled = len(after) == len(identity) and compose(lead.permutation, after) == identity
    return len(others) + (not settled)


def _follows(lead: View, other: View) -> bool:
    both_plain = lead.is_plain and other.is_plain and len(lead.shape) == len(other.shape)
    return both_plain or lead.like(other)


def _operand(sweep: _Sweep, lead: View, name: str) -> str:
    """An operand of an elementwise node in the layout of the leading view's source."""
    if sweep.graph.is_activation(name):
        other = sweep.views[name]
        if lead.like(other):
            return other.source
        order = compose(other.permutation, invert(lead.permutation))
        return sweep.write(View.plain(other.source, other.source_shape, order), name)
    data = sweep.graph.constant(name)
    if data is None:
        return name
    if data.size > 1:
        if not lead.is_plain:
            return sweep.constant(name, lead.to_source(np.broadcast_to(data, lead.shape)))
        whole = data.reshape((1,) * (len(lead.shape) - data.ndim) + data.shape)
        return sweep.constant(name, whole.transpose(invert(lead.permutation)))
    sweep.tensors[name] = sweep.graph.tensors[name]
    return name


def _keeps_last_axis(view: View) -> bool:
    return view.is_plain and view.permutation[-1] == len(view.shape) - 1


def _batch_norm(sweep: _Sweep, node: Node, view: View) -> bool:
    """Normalize the source; within a flattened view the vectors change their order too."""
    depth = view.shape[-1]
    columns = np.arange(depth) if _keeps_last_axis(view) else None
    if columns is None and view.source_shape == view.shape:
        columns = view.columns(depth)
    if columns is None:
        return False
    vectors = [sweep.graph.tensors[name].data for name in node.inputs[1:]]
    names = [
        sweep.constant(name, _reordered(vector, columns))
        for name, vector in zip(node.inputs[1:], vectors, strict=True)
        if vector is not None
    ]
    sweep.emit(node, (view.source, *names), node.attributes)
    sweep.views[node.output] = dataclasses.replace(view, source=node.output)
    return True


def _fully_connected(sweep: _Sweep, node: Node, view: View) -> bool:
    """Multiply the source, with the columns of the weights in its order."""
    weights = sweep.graph.constant(node.inputs[1])
    if weights is None or (_attributes(node).keep_dims and view.source_shape != view.shape):
        return False
    columns = view.columns(weights.shape[1])
    if columns is None:
        return False
    name = sweep.constant(node.inputs[1], _reordered(weights, columns))
    bias = tuple(sweep._input(rest) for rest in node.inputs[2:])
    (shape,) = sweep.emit(node, (view.source, name, *bias), node.attributes)
    sweep.views[node.output] = View.plain(node.output, shape)
    return True


def _reordered(data: Array, columns: Array) -> Array:
    """Move value k of the last axis to where the source has it."""
    result = np.empty_like(data)
    result[..., columns] = data
    return result


def _reduction(sweep: _Sweep, node: Node, view: View) -> bool:
    if not view.is_plain:
        return False
    a = _attributes(node)
    axes = tuple(sorted(view.permutation[axis] for axis in a.axes))
    (shape,) = sweep.emit(node, (view.source,), dataclasses.replace(a, axes=axes))
    kept = [axis for axis in view.permutation if a.keep_dims or axis not in axes]
    order = tuple(sorted(kept).index(axis) for axis in kept)
    sweep.views[node.output] = View.plain(node.output, shape, order)
    return True


def _argmax(sweep: _Sweep, node: Node, view: View) -> bool:
    """Search along the axis of the source, where the indices come out in their own order."""
    axis = view.permutation[_attributes(node).axis] if view.is_plain else -1
    kept = [other for other in view.permutation if other != axis]
    if not view.is_plain or kept != sorted(kept):
        return False
    attributes = dataclasses.replace(_attributes(node), axis=axis)
    (shape,) = sweep.emit(node, (view.source,), attributes)
    sweep.views[node.output] = View.plain(node.output, shape)
    return True


def _in_other_order(sweep: _Sweep, node: Node, view: View) -> bool:
    """Compute in the order of the sources where the operator knows how (`Operator.permuted`)."""
    views = [sweep.views[name] for name in sweep.graph.activation_inputs(node)]
    same = all(v.is_plain and v.permutation == view.permutation for v in views)
    if not same or any(name and not sweep.graph.is_activation(name) for name in node.inputs):
        return False
    attributes = operator(node.op).permuted(node.attributes, view.permutation)
    if attributes is None:
        return False
    shapes = sweep.emit(node, tuple(v.source for v in views), attributes)
    for name, shape in zip(node.outputs, shapes, strict=True):
        sweep.views[name] = View.plain(name, shape, view.permutation)
    return True


def _attributes(node: Node) -> Any:
    return node.attributes


#: Operators that move values, and compute none where the scale stays.
_MOVES = ("transpose", "reshape", "pad")

#: Operators that change constants, or the order of what they give, along with their attributes.
_RULES: dict[str, Callable[[_Sweep, Node, View], bool]] = {
    "transpose": _transpose,
    "reshape": _reshape,
    "batch_norm": _batch_norm,
    "fully_connected": _fully_connected,
    "argmax": _argmax,
}


def _rule(node: Node) -> Callable[[_Sweep, Node, View], bool]:
    """The rule of an operator: its own, or that of its kind."""
    if node.op in _RULES:
        return _RULES[node.op]
    if isinstance(node.attributes, ReduceAttributes):
        return _reduction
    return _elementwise if operator(node.op).is_elementwise else _in_other_order


# --- graph inputs ---------------------------------------------------------------------------------


def _input_permutation(graph: Graph, name: str, readers: list[Node]) -> tuple[int, ...] | None:
    """The order of axes that every reader of an input turns it into, or None.

    The batch stays in front: a reader that moves a batch of 1 elsewhere becomes a reshape.
    """
    orders = {getattr(node.attributes, "permutation", None) for node in readers}
    order = orders.pop() if len(orders) == 1 else None
    if order is None or name in graph.outputs:
        return None
    if order[0] != 0:
        if graph.tensors[name].shape[0] != 1:
            return None
        order = (0, *(axis for axis in order if axis != 0))
    pure = all(same_quant(graph, n) and n.output not in graph.outputs for n in readers)
    return order if pure else None


def _fold_input_transposes(graph: Graph) -> Graph:
    """Take an input in the order that all of its readers transpose it to."""
    consumers, tensors = graph.consumers(), dict(graph.tensors)
    permutations = dict(graph.input_permutations)
    merged: dict[str, str] = {}
    reshaped_inputs: dict[str, Node] = {}
    for name in graph.inputs:
        order = _input_permutation(graph, name, consumers[name])
        if order is None:
            continue
        tensor = tensors[name]
        tensors[name] = dataclasses.replace(tensor, shape=permuted(tensor.shape, order))
        before = permutations.pop(name, tuple(range(len(order))))
        if not is_identity(compose(before, order)):
            permutations[name] = compose(before, order)
        for node in consumers[name]:
            if _attributes(node).permutation == order:
                merged[node.output] = name
            else:
                shape = ReshapeAttributes(tensors[node.output].shape)
                reshaped_inputs[node.output] = Node("reshape", (name,), node.outputs, shape)
    nodes = tuple(
        reshaped_inputs.get(
            node.output,
            dataclasses.replace(node, inputs=tuple(merged.get(n, n) for n in node.inputs)),
        )
        for node in graph.nodes
        if node.output not in merged
    )
    return prune(graph.replace(nodes=nodes, tensors=tensors, input_permutations=permutations))
