"""Runs a graph with numpy, in float or in integers: the definition of what it computes.

`run_float` is what calibration and accuracy use; `run_int` is the reference of the int8 bytes.
Both take and give whole batches, and keep every intermediate tensor if asked.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from edgecnn.errors import InvariantError
from edgecnn.ir import Array, Graph, Node
from edgecnn.operators import Dialect, operator

Values = dict[str, Array]


def lower_all(graph: Graph, dialect: Dialect = Dialect.TFLM) -> tuple[Any, ...]:
    """The integer parameters of every node of an int8 graph, in execution order."""
    return tuple(operator(node.op).lower(node, graph, dialect) for node in graph.nodes)


def differing_operators(graph: Graph, dialect: Dialect) -> list[str]:
    """Operators of an int8 graph that a dialect lowers to other integers than TFLite Micro's."""
    pairs = zip(lower_all(graph), lower_all(graph, dialect), strict=True)
    found = [not _same(ours, theirs) for ours, theirs in pairs]
    names = [node.op for node, differs in zip(graph.nodes, found, strict=True) if differs]
    return list(dict.fromkeys(names))


def _same(a: Any, b: Any) -> bool:
    """Whether two lowered parameters are equal, arrays and all."""
    if dataclasses.is_dataclass(a):
        return type(a) is type(b) and _same(vars(a), vars(b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(value, b[key]) for key, value in a.items())
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        return a is not None and b is not None and np.array_equal(a, b)
    return bool(a == b)


def runs_in_batches(graph: Graph) -> bool:
    """Whether many samples can go through the graph stacked in the first dimension."""
    stacked = all(
        len(graph.tensors[name].shape) >= 2 and graph.tensors[name].shape[0] == 1
        for name in graph.activations()
    )
    return stacked and all(
        operator(node.op).keeps_samples_apart(node.attributes) and not _adds_axes(node, graph)
        for node in graph.nodes
    )


def _adds_axes(node: Node, graph: Graph) -> bool:
    """Whether an operand is broadcast to axes before its own first: samples would move with it."""
    rank = len(graph.tensors[node.output].shape)
    return operator(node.op).is_elementwise and any(
        len(graph.tensors[name].shape) < rank for name in graph.activation_inputs(node)
    )


def _execute(
    graph: Graph,
    feeds: Mapping[str, Array],
    compute: Callable[[int, Node, Values], Sequence[Array]],
) -> Values:
    values: Values = dict(feeds)
    for index, node in enumerate(graph.nodes):
        values.update(zip(node.outputs, compute(index, node, values), strict=True))
    return values


def _float_node(graph: Graph) -> Callable[[int, Node, Values], Sequence[Array]]:
    def compute(_: int, node: Node, values: Values) -> Sequence[Array]:
        inputs = [
            None if not name else values.get(name, graph.tensors[name].data) for name in node.inputs
        ]
        return operator(node.op).evaluate_float(node.attributes, inputs)

    return compute


def _int_node(
    graph: Graph, params: Sequence[Any]
) -> Callable[[int, Node, Values], Sequence[Array]]:
    def compute(index: int, node: Node, values: Values) -> Sequence[Array]:
        inputs = [values[name] for name in graph.activation_inputs(node)]
        return operator(node.op).evaluate_int(params[index], inputs)

    return compute


def _run(
    graph: Graph,
    feeds: Mapping[str, Array],
    compute: Callable[[int, Node, Values], Sequence[Array]],
) -> Values:
    """Run all samples: stacked where the graph allows it, else one by one."""
    count = _sample_count(graph, feeds)
    shapes = {name: graph.tensors[name].shape for name in graph.activations()}
    if runs_in_batches(graph):
        stacked = {n: feeds[n].reshape(count, *shapes[n][1:]) for n in graph.inputs}
        values = _execute(graph, stacked, compute)
        return {name: values[name].reshape(count, *shape) for name, shape in shapes.items()}
    samples = [
        _execute(graph, {n: feeds[n][i].reshape(shapes[n]) for n in graph.inputs}, compute)
        for i in range(count)
    ]
    return {name: np.stack([values[name] for values in samples]) for name in shapes}


def _sample_count(graph: Graph, feeds: Mapping[str, Array]) -> int:
    counts = {len(feeds[name]) for name in graph.inputs}
    if len(counts) != 1:
        raise InvariantError(f"inputs hold different numbers of samples: {sorted(counts)}")
    return counts.pop()


def run_float(graph: Graph, feeds: Mapping[str, Array]) -> Values:
    """Compute every activation of a float graph.

    ``feeds[name]`` is float32 of shape (samples, *shape) for each graph input, in the graph's
    own layout. Returns arrays of shape (samples, *shape) for inputs and computed tensors.
    """
    return _run(graph, feeds, _float_node(graph))


def run_int(
    graph: Graph, feeds: Mapping[str, Array], params: Sequence[Any] | None = None
) -> Values:
    """Compute every activation of an int8 graph, exactly as TFLite Micro does.

    Shapes as in `run_float`, int8. ``params`` is what `lower_all` gave, perhaps under another
    dialect.
    """
    return _run(graph, feeds, _int_node(graph, lower_all(graph) if params is None else params))


#: `run_float` or `run_int`.
Run = Callable[[Graph, Mapping[str, Array]], Values]


def run_in_parts(
    run: Run, graph: Graph, feeds: Mapping[str, Array], names: Sequence[str] | None = None
) -> Values:
    """Some activations, or all of them, of as many samples as are given, a few at a time."""
    wanted = graph.activations() if names is None else names
    count = len(feeds[graph.inputs[0]])
    parts = []
    for part in chunks(count, graph):
        values = run(graph, {name: feeds[name][part] for name in graph.inputs})
        parts.append({name: values[name] for name in wanted})
    return {name: np.concatenate([found[name] for found in parts]) for name in wanted}


def run_node(run: Run, graph: Graph, node: Node, values: Mapping[str, Array]) -> Values:
    """The outputs of one node, a few samples at a time.

    ``values[name]`` is (samples, *shape) for each activation that it reads.
    """
    inputs = tuple(dict.fromkeys(graph.activation_inputs(node)))
    alone = graph.replace(nodes=(node,), inputs=inputs, outputs=node.outputs)
    return run_in_parts(run, alone, values, node.outputs)


def chunks(count: int, graph: Graph, budget: int = 1 << 26) -> Iterator[slice]:
    """Slices of samples whose activations together stay near ``budget`` bytes."""
    per_sample = 16 * sum(graph.tensors[name].size for name in graph.activations())
    step = max(1, min(64, budget // max(1, per_sample)))
    for start in range(0, count, step):
        yield slice(start, min(count, start + step))
