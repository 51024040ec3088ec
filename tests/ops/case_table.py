"""The case table of the operators: a case names shapes and parameters once, for every runner.

A `Case` is one int8 node. `check` puts many of them side by side into one graph, each with
inputs of its own and an output that has the case's name, so that one file and one compilation
cover all; then every runner must give the same bytes for every tensor.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edgecnn import verify as invariants
from edgecnn.ir import INT8, Array, Attributes, Graph, Node, QuantParams, Shape, Tensor
from edgecnn.operators import operator
from edgecnn.parity import Artifact, ParityReport, Runner, random_feeds, verify
from firmware_export.c_writer import Provenance, to_c
from firmware_export.exporters import CLayer
from firmware_export.runners import host_c, litert, numpy_simulator, tflite_runtime, tflm
from firmware_export.tflite_writer import to_tflite

Rng = np.random.Generator

RUNNERS: tuple[Runner, ...] = tuple(
    module.RUNNER for module in (numpy_simulator, tflm, tflite_runtime, litert, host_c)
)
#: tflite-runtime has no wheels after Python 3.11.
OPTIONAL_RUNNERS = set() if sys.version_info < (3, 12) else {"tflite"}

ACTIVATIONS = ("none", "relu", "relu6", "relu_n1_to_1")
PROVENANCE = Provenance("0", "tests", "0" * 64)


@dataclass(frozen=True)
class Value:
    """An int8 input that is fed."""

    shape: Shape
    scale: float = 0.05
    zero_point: int = 0

    def tensor(self, name: str) -> Tensor:
        quant = QuantParams.per_tensor(self.scale, self.zero_point)
        return Tensor(name, self.shape, "int8", None, quant)


@dataclass(frozen=True, eq=False)
class Constant:
    """Weights, a bias or a constant operand."""

    data: Array
    scale: tuple[float, ...]
    zero_point: int = 0
    axis: int | None = None

    def tensor(self, name: str) -> Tensor:
        scale = tuple(float(np.float32(s)) for s in self.scale)
        axis = self.axis if len(scale) > 1 else None
        quant = QuantParams(scale, (self.zero_point,) * len(scale), axis)
        return Tensor(name, self.data.shape, self.data.dtype.name, self.data, quant)


@dataclass(frozen=True, eq=False)
class Case:
    """One node. ``output`` is its output's (scale, zero point); None takes the first input's.

    Of several outputs, the first has the name of the case, the others a number behind it.
    """

    name: str
    op: str
    inputs: Sequence[Value | Constant | None]
    attributes: Attributes = field(default_factory=Attributes)
    output: tuple[float, int] | None = None


def build(cases: Sequence[Case], name: str = "net") -> Graph:
    """One graph with the cases side by side."""
    tensors: dict[str, Tensor] = {}
    nodes: list[Node] = []
    inputs: list[str] = []
    for case in cases:
        names = []
        for position, operand in enumerate(case.inputs):
            operand_name = "" if operand is None else f"{case.name}/{position}"
            names.append(operand_name)
            if operand is not None:
                tensors[operand_name] = operand.tensor(operand_name)
            if isinstance(operand, Value):
                inputs.append(operand_name)
        shapes = [tensors[n].shape if n else () for n in names]
        results = operator(case.op).infer_shapes(case.attributes, shapes)
        first = tensors[names[0]].quant
        quant = first if case.output is None else QuantParams.per_tensor(*case.output)
        dtype = operator(case.op).output_dtype
        quant = quant if dtype == INT8 else None
        outputs = [case.name, *(f"{case.name}/out{i}" for i in range(1, len(results)))]
        for output, shape in zip(outputs, results, strict=True):
            tensors[output] = Tensor(output, shape, dtype, None, quant)
        nodes.append(Node(case.op, tuple(names), tuple(outputs), case.attributes))
    computed = tuple(name for node in nodes for name in node.outputs)
    return Graph(name, tuple(nodes), tensors, tuple(inputs), computed)


def problem(case: Case) -> str | None:
    """Why a case is refused, or None."""
    graph = build([case])
    return operator(case.op).unsupported(graph.nodes[0], graph)


def random_cases(make: Callable[[Rng, str], Case], count: int, seed: int) -> list[Case]:
    """``count`` accepted cases of a generator, which may not be refused more often than that."""
    rng = np.random.default_rng(seed)
    cases: list[Case] = []
    for attempt in range(2 * count):
        case = make(rng, f"random{attempt}")
        if problem(case) is None:
            cases.append(case)
        if len(cases) == count:
            return cases
    raise AssertionError(f"only {len(cases)} of {2 * count} random cases are supported")


def write_c(graph: Graph, directory: Path, chosen: Mapping[str, CLayer] | None = None) -> None:
    """Write a graph's C files into a folder, with some fast layers."""
    for file, text in to_c(graph, graph.name, PROVENANCE, chosen=chosen).files.items():
        (directory / file).write_text(text)


def run(graph: Graph, directory: Path, feeds: Mapping[str, Array]) -> ParityReport:
    """Export a graph and verify it on every runner."""
    invariants.check(graph)
    write_c(graph, directory)
    artifact = Artifact(graph, to_tflite(graph), graph.name, directory)
    return verify(artifact, RUNNERS, feeds)


def check(
    cases: Sequence[Case],
    directory: Path,
    *,
    samples: int = 5,
    seed: int = 0,
    feeds: Mapping[str, Array] | None = None,
) -> None:
    """Every runner shows every tensor of every case, with the same bytes."""
    refused = {case.name: problem(case) for case in cases if problem(case) is not None}
    assert not refused
    graph = build(cases)
    report = run(graph, directory, random_feeds(graph, samples, seed) if feeds is None else feeds)
    assert report.reference == "tflm"
    for result in report.runners:
        if result.available or result.name not in OPTIONAL_RUNNERS:
            assert result.available, result.reason
            assert result.tensors == len(graph.activations()), result.name
            assert result.mismatches == 0, (result.name, result.first_mismatch)
    assert report.passed


def all_bytes() -> Array:
    """The 256 int8 values, as one sample of shape (1, 256)."""
    return np.arange(-128, 128).astype(np.int8).reshape(1, 1, 256)


# --- drawing parameters -----------------------------------------------------------------------


def draw(rng: Rng, values: Iterable[Any]) -> Any:
    """One of some values."""
    options = list(values)
    return options[int(rng.integers(len(options)))]


def draw_scale(rng: Rng, low: int = -10, high: int = 3) -> float:
    """A scale, log-uniform between powers of two."""
    return float(np.float32(2.0 ** rng.uniform(low, high)))


def draw_zero_point(rng: Rng) -> int:
    """Any zero point, the extremes often."""
    return draw(rng, (-128, 127, 0, *(int(z) for z in rng.integers(-128, 128, 4))))


def draw_image(rng: Rng, channels: int, low: int = 1, high: int = 9) -> Value:
    """A small image of any height and width."""
    height, width = (int(n) for n in rng.integers(low, high + 1, 2))
    return Value((1, height, width, channels), draw_scale(rng), draw_zero_point(rng))


def draw_weights(rng: Rng, shape: Shape) -> Array:
    """int8 weights: uniform, or every one at the end of the range."""
    if rng.random() < 0.2:
        return rng.choice(np.array([-128, 127], np.int8), shape)
    return rng.integers(-127, 128, shape, dtype=np.int8)


def draw_weighted(
    rng: Rng, x: Value, shape: Shape, axis: int, *, per_channel: bool, bias: bool
) -> tuple[list[Value | Constant | None], tuple[float, int]]:
    """Inputs of an operator with weights, and an output range that fits its sums.

    One output in six is far off: everything saturates, or everything is zero.
    """
    channels, depth = shape[axis], int(np.prod(shape)) // shape[axis]
    base = draw_scale(rng, -12, 0)
    count = channels if per_channel else 1
    scales = tuple(base * 2.0 ** float(e) for e in rng.uniform(-4, 0, count))
    inputs: list[Value | Constant | None] = [
        x,
        Constant(draw_weights(rng, shape), scales, axis=axis),
        None,
    ]
    if bias:
        limit = int(draw(rng, (100, 70 * 70 * depth, 1 << 24)))
        data = rng.integers(-limit, limit + 1, channels).astype(np.int32)
        bias_scales = tuple(x.scale * float(np.float32(s)) for s in scales)
        inputs[2] = Constant(data, bias_scales, axis=0)
    spread = x.scale * base * 70 * 70 * np.sqrt(depth)
    steps = 2.0 ** rng.uniform(4, 8) if rng.random() < 5 / 6 else 2.0 ** rng.uniform(-16, 16)
    return inputs, (float(spread / steps), draw_zero_point(rng))
