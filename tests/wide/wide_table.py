"""The case table of operators in 16 bits: as `tests.ops.case_table`, with int16 tensors inside.

Networks begin and end in int8. Each int16 input of a case is the sum of two int8 ones that are
fed, one of them 256 times the other, so that it takes every int16 value; each output is
requantized to int8 behind the case.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn import verify as invariants
from edgecnn.ir import (
    INT8,
    INT16,
    INT32,
    Array,
    Attributes,
    Graph,
    Node,
    QuantParams,
    Shape,
    Tensor,
)
from edgecnn.operators import Dialect, operator, operators
from edgecnn.ops.add import AddAttributes
from edgecnn.parity import Artifact, random_feeds, verify
from edgecnn.simulator import lower_all, run_int
from firmware_export.runners import host_c, litert, numpy_simulator, tflite_runtime, tflm
from firmware_export.tflite_writer import to_tflite
from tests.ops.case_table import Case, Constant, Rng, Value, write_c

RUNNERS = tuple(module.RUNNER for module in (numpy_simulator, tflm, litert, host_c))


@dataclass(frozen=True)
class WideValue:
    """An int16 input of a case."""

    shape: Shape
    scale: float = 0.001


def _codes(name: str, shape: Shape, dtype: str, scale: float, zero_point: int = 0) -> Tensor:
    return Tensor(name, shape, dtype, None, QuantParams.per_tensor(scale, zero_point))


class _Builder:
    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.nodes: list[Node] = []
        self.inputs: list[str] = []
        self.outputs: list[str] = []

    def add(self, op: str, inputs: Sequence[str], output: Tensor, a: Attributes) -> str:
        self.tensors[output.name] = output
        self.nodes.append(Node(op, tuple(inputs), (output.name,), a))
        return output.name

    def widened(self, name: str, value: WideValue) -> str:
        """An int16 tensor from two int8 inputs: ``256 * high + low``."""
        parts = []
        for part, scale, zero_point in (("high", 256 * value.scale, 0), ("low", value.scale, -128)):
            narrow = _codes(f"{name}/{part}", value.shape, INT8, scale, zero_point)
            self.tensors[narrow.name] = narrow
            self.inputs.append(narrow.name)
            wide = _codes(f"{narrow.name}16", value.shape, INT16, scale)
            parts.append(self.add("requantize", [narrow.name], wide, Attributes()))
        output = _codes(name, value.shape, INT16, value.scale)
        return self.add("add", parts, output, AddAttributes())

    def case(self, case: Case) -> None:
        names = []
        for position, operand in enumerate(case.inputs):
            name = "" if operand is None else f"{case.name}/{position}"
            names.append(name)
            if isinstance(operand, WideValue):
                self.widened(name, operand)
            elif operand is not None:
                self.tensors[name] = operand.tensor(name)
        shapes = [self.tensors[n].shape if n else () for n in names]
        results = operator(case.op).infer_shapes(case.attributes, shapes)
        first = self.tensors[names[0]]
        scale = first.scale if case.output is None else case.output[0]
        outputs = [case.name, *(f"{case.name}/out{i}" for i in range(1, len(results)))]
        self.nodes.append(Node(case.op, tuple(names), tuple(outputs), case.attributes))
        for name, shape in zip(outputs, results, strict=True):
            self.tensors[name] = _codes(name, shape, INT16, scale)
            narrow = _codes(f"{name}/int8", shape, INT8, 256 * scale)
            self.outputs.append(self.add("requantize", [name], narrow, Attributes()))


def build(cases: Sequence[Case]) -> Graph:
    """One graph with the cases side by side, int8 at its ends."""
    builder = _Builder()
    for case in cases:
        builder.case(case)
    ends = (tuple(builder.inputs), tuple(builder.outputs))
    return Graph("net", tuple(builder.nodes), builder.tensors, *ends)


def problem(case: Case) -> str | None:
    """Why a case is refused, or None."""
    graph = build([case])
    (node,) = (node for node in graph.nodes if node.output == case.name)
    return operator(case.op).unsupported(node, graph)


def random_cases(make: Callable[[Rng, str], Case], count: int, seed: int) -> list[Case]:
    """``count`` accepted cases of a generator, which may not be refused more often than that."""
    rng = np.random.default_rng(seed)
    drawn = [make(rng, f"random{i}") for i in range(2 * count)]
    accepted = [case for case in drawn if problem(case) is None][:count]
    assert len(accepted) == count
    return accepted


#: Operators that have a form in 16 bits.
OPERATORS = sorted(name for name, op in operators().items() if op.has_wide_form)
#: Those whose int8 cases are cases in 16 bits, too; conversions have cases of their own.
CASED = [op for op in OPERATORS if op != "requantize"]


def wide_cases(op: str) -> list[Case]:
    """The named cases of an operator, without those that int16 has no numbers for."""
    table: Sequence[Case] = importlib.import_module(f"tests.ops.test_{op}").CASES
    cases = [widened(case) for case in table]
    return [case for case in cases if problem(case) is None]


def every_wide_case(most: int | None = None) -> Graph:
    """The cases of all operators, or some of each, side by side."""
    return build(some_of_each(most))


def some_of_each(most: int | None = None) -> list[Case]:
    """The cases of all operators, or some of each, under names of their own."""
    cases = [(op, case) for op in CASED for case in wide_cases(op)[:most]]
    return [dataclasses.replace(c, name=f"{i}-{op}-{c.name}") for i, (op, c) in enumerate(cases)]


def check(cases: Sequence[Case], directory: Path, *, samples: int = 5, seed: int = 0) -> None:
    """Every runner shows every tensor of every case, with the same values."""
    refused = {case.name: problem(case) for case in cases if problem(case) is not None}
    assert not refused
    graph = build(cases)
    invariants.check(graph)
    write_c(graph, directory)
    artifact = Artifact(graph, to_tflite(graph), graph.name, directory)
    feeds = random_feeds(graph, samples, seed)
    report = verify(artifact, RUNNERS, feeds)
    assert report.reference == "tflm"
    for result in report.runners:
        assert result.available, result.reason
        assert result.tensors == len(graph.activations()), result.name
        assert result.mismatches == 0, (result.name, result.first_mismatch)
    check_on_tflite(layers_alone(graph, cases), run_int(graph, feeds))


def layers_alone(graph: Graph, cases: Sequence[Case]) -> Graph:
    """The graph of some cases without conversions: its inputs and outputs are int16."""
    names = {case.name for case in cases}
    nodes = tuple(
        node
        for node in graph.nodes
        if node.output in names and all(graph.tensors[n].dtype != INT32 for n in node.inputs if n)
    )
    inputs = tuple(n for node in nodes for n in graph.activation_inputs(node))
    outputs = tuple(name for node in nodes for name in node.outputs)
    return dataclasses.replace(graph, nodes=nodes, inputs=inputs, outputs=outputs)


def check_on_tflite(graph: Graph, values: dict[str, Array]) -> None:
    """tflite-runtime, which cannot widen int8, gives the same values for int16 inputs."""
    artifact = Artifact(graph, to_tflite(graph))
    if tflite_runtime.RUNNER.unavailable(artifact) is not None:
        return
    session = tflite_runtime.RUNNER.open(artifact)
    feeds = {name: values[name] for name in graph.inputs}
    expected, got = run_int(graph, feeds, lower_all(graph, Dialect.TFLITE)), session.run(feeds)
    for name in graph.outputs:
        np.testing.assert_array_equal(got[name], expected[name], name)


# --- cases of int8 as cases of int16 ----------------------------------------------------------


def widened(case: Case) -> Case:
    """An int8 case with steps of its values that are 256 times finer, and no zero points."""
    op = operator(case.op)
    rng = np.random.default_rng(sum(case.name.encode()))
    inputs: list[Any] = []
    for position, operand in enumerate(case.inputs):
        is_weights = op.weights_axis is not None and position in op.weight_biases
        if isinstance(operand, Value):
            inputs.append(WideValue(operand.shape, operand.scale / 256))
        elif operand is None or is_weights:
            inputs.append(operand)
        else:
            dtype = "int16" if op.weights_axis is None else "int64"
            data = operand.data.astype(dtype) * 256
            data += rng.integers(0, 256, data.shape).astype(dtype)
            scales = tuple(scale / 256 for scale in operand.scale)
            inputs.append(Constant(data, scales, axis=operand.axis))
    output = None if case.output is None else (case.output[0] / 256, 0)
    if op.fixed_wide_output is not None:
        output = (op.fixed_wide_output.scale[0], 0)
    return dataclasses.replace(case, inputs=inputs, output=output)
