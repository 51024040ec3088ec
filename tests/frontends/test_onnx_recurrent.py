"""LSTM and GRU from ONNX, against ONNX's own reference and on every runner."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper
from onnx.reference import ReferenceEvaluator

from edgecnn.errors import UnsupportedError
from edgecnn.ir import Array
from edgecnn.parity import random_feeds
from edgecnn.passes import pipeline
from edgecnn.quantization.quantize import quantize_graph
from tests.onnx_models import assert_close, model_of, random, read, run_graph
from tests.ops.case_table import run

STEPS, FEATURES, UNITS = 5, 3, 4
GATES = {"LSTM": 4, "GRU": 3}


def weights(kind: str, bias: bool = True) -> dict[str, Array]:
    rows = GATES[kind] * UNITS
    arrays = {"W": random(1, rows, FEATURES), "R": random(1, rows, UNITS)}
    return arrays | ({"B": random(1, 2 * rows)} if bias else {})


def recurrent(
    kind: str,
    bias: bool = True,
    outputs: tuple[str, ...] = ("y",),
    more: dict[str, Array] | None = None,
    **attributes: Any,
) -> Any:
    """A model of one recurrent node, its input turned time first where it wants that.

    ``more`` are further inputs by ONNX's names.
    """
    order = ["sequence_lens", "initial_h", "initial_c", "P"]
    constants = weights(kind, bias) | (more or {})
    inputs = ["x", "W", "R", "B" if bias else "", *(n if n in constants else "" for n in order)]
    while not inputs[-1]:
        inputs.pop()
    turned = [] if attributes.get("layout") else [0]
    nodes = [helper.make_node("Transpose", ["in"], ["x"], perm=[1, 0, 2]) for _ in turned]
    inputs[0] = "x" if turned else "in"
    nodes += [helper.make_node(kind, inputs, list(outputs), hidden_size=UNITS, **attributes)]
    names = [name for name in outputs if name]
    return model_of(nodes, {"in": (1, STEPS, FEATURES)}, constants, names)


OPTIONS: list[dict[str, Any]] = [
    {"kind": "LSTM"},
    {"kind": "LSTM", "bias": False},
    {"kind": "LSTM", "outputs": ("", "y")},
    {"kind": "LSTM", "outputs": ("y", "h")},
    {"kind": "LSTM", "more": {"initial_h": np.zeros((1, 1, UNITS), np.float32)}},
    {"kind": "LSTM", "more": {"P": np.zeros((1, 3 * UNITS), np.float32)}},
    {"kind": "LSTM", "more": {"sequence_lens": np.array([STEPS], np.int32)}},
    {"kind": "GRU"},
    {"kind": "GRU", "linear_before_reset": 1},
    {"kind": "GRU", "linear_before_reset": 1, "bias": False},
    {"kind": "GRU", "linear_before_reset": 1, "outputs": ("", "y")},
    {"kind": "GRU", "outputs": ("y", "h"), "activations": ["Sigmoid", "Tanh"]},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_equals_the_reference(options: dict[str, Any]) -> None:
    model = recurrent(**options)
    x = random(1, STEPS, FEATURES)
    wanted = ReferenceEvaluator(model).run(None, {"in": x})
    graph = read(model)
    assert_close(run_graph(graph, {"in": x}), wanted)
    assert_close(run_graph(pipeline.run(graph), {"in": x}), wanted)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("outputs", [("y",), ("", "y")])
def test_batch_first_equals_time_first(kind: str, outputs: tuple[str, ...]) -> None:
    """ONNX's reference has no LSTM of layout 1; the layouts differ by the order of axes only."""
    first = recurrent(kind, outputs=outputs, layout=0)
    second = recurrent(kind, outputs=outputs, layout=1)
    for tensor, source in zip(second.graph.initializer, first.graph.initializer, strict=True):
        tensor.CopyFrom(source)
    x = random(1, STEPS, FEATURES)
    (wanted,) = run_graph(read(first), {"in": x})
    (got,) = run_graph(read(second), {"in": x})
    axes = (2, 0, 1, 3) if outputs[0] else (1, 0, 2)  # (N, T, D, H) from (T, D, N, H)
    np.testing.assert_array_equal(got, wanted.transpose(axes))


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_is_exact_on_every_runner(kind: str, tmp_path: Path) -> None:
    """As torch writes it: batch first by transposes, the axis of directions squeezed away."""
    body = recurrent(
        kind, outputs=("all",), **({"linear_before_reset": 1} if kind == "GRU" else {})
    )
    nodes = [
        *body.graph.node,
        helper.make_node("Squeeze", ["all", "axes"], ["one"]),
        helper.make_node("Transpose", ["one"], ["y"], perm=[1, 0, 2]),
    ]
    constants = weights(kind) | {"axes": np.array([1])}
    graph = pipeline.run(read(model_of(nodes, {"in": (1, STEPS, FEATURES)}, constants)))
    counted = Counter(node.op for node in graph.nodes)
    assert counted["transpose"] == 0
    assert counted["lstm"] == (kind == "LSTM")
    int8 = quantize_graph(graph, {"in": np.stack([random(1, STEPS, FEATURES) for _ in range(40)])})
    assert run(int8.replace(name="net"), tmp_path, random_feeds(int8, 5, 0)).passed


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"kind": "LSTM", "direction": "reverse"}, "direction is reverse"),
    ({"kind": "GRU", "direction": "bidirectional"}, "direction is bidirectional"),
    ({"kind": "LSTM", "clip": 2.0}, "clips"),
    ({"kind": "LSTM", "input_forget": 1}, "couples"),
    ({"kind": "LSTM", "activations": ["Sigmoid", "Relu", "Tanh"]}, "Sigmoid, Relu, Tanh"),
    ({"kind": "LSTM", "outputs": ("y", "", "c")}, "final cell state"),
    ({"kind": "LSTM", "more": {"P": np.ones((1, 3 * UNITS), np.float32)}}, "peepholes"),
    ({"kind": "GRU", "more": {"initial_h": np.ones((1, 1, UNITS), np.float32)}}, "initial state"),
    ({"kind": "GRU", "more": {"sequence_lens": np.array([2], np.int32)}}, "sequence_lens"),
]


@pytest.mark.parametrize(("options", "reason"), REFUSED, ids=str)
def test_refuses(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnsupportedError, match=reason):
        read(recurrent(**options))
