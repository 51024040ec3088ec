"""How far a network's outputs are from what they should be: what choices of ranges go by."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgecnn.ir import Array, Graph

#: What is further below the largest input of a softmax has under a tenth of its output's step.
REACH = 8.0


def judged(graph: Graph) -> tuple[str, ...]:
    """The tensors that the error is measured at: the outputs, or what a decision is made of."""
    producers = graph.producers()

    def before(name: str) -> str:
        node = producers.get(name)
        return before(node.inputs[0]) if node is not None and node.op in _DECISIONS else name

    return tuple(dict.fromkeys(before(name) for name in graph.outputs))


#: Outputs of these hide most errors, or make much of little ones.
_DECISIONS = ("argmax", "log_softmax", "softmax")


def softmax_inputs(graph: Graph) -> tuple[str, ...]:
    """The tensors that nothing but a softmax, over the last axis, reads."""
    readers = graph.consumers()
    return tuple(
        name
        for name in graph.activations()
        if name not in graph.outputs
        and readers[name]
        and all(node.op == "softmax" for node in readers[name])
    )


def output_error(graph: Graph, wanted: Mapping[str, Array], got: Mapping[str, Array]) -> float:
    """Sum over the `judged` tensors of the squared error relative to the power.

    ``wanted`` and ``got`` have them as reals, (samples, *shape). What a softmax reads counts as
    far as it matters to it: relative to the largest wanted value of a row, not under `REACH` less.
    """
    inputs = softmax_inputs(graph)
    total = 0.0
    for name in judged(graph):
        exact, found = (v[name].astype(np.float64) for v in (wanted, got))
        if name in inputs:
            top = exact.max(axis=-1, keepdims=True)
            exact, found = (np.maximum(v - top, -REACH) for v in (exact, found))
        power = float(np.square(exact).sum())
        total += float(np.square(exact - found).sum()) / max(power, 1e-30)
    return total


def softmax_floor(values: Array) -> float:
    """The least value of a softmax's input that makes a difference in any of these rows."""
    return float(values.max(axis=-1).min()) - REACH
