"""Builds small ONNX models and compares their graphs with ONNX's own reference evaluator."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from edgecnn.frontends import onnx_file
from edgecnn.ir import Array, Graph
from edgecnn.passes import pipeline
from edgecnn.simulator import run_float

rng = np.random.default_rng(7)
_START = rng.bit_generator.state


def draw_anew() -> None:
    """Begin the random numbers again, so that a test draws the same ones whatever ran before."""
    rng.bit_generator.state = _START


def random(*shape: int) -> Array:
    """Weights, or an input, that hide no mistake."""
    return rng.normal(0, 1, shape).astype(np.float32)


Dims = Sequence[int | str | None]


def value(name: str, shape: Dims | None, dtype: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, dtype, shape)


def model_of(
    nodes: Sequence[Any],
    inputs: Mapping[str, Dims] | Sequence[Any],
    constants: Mapping[str, Any] | None = None,
    outputs: Sequence[str] = ("y",),
    opset: int = 21,
    domains: Sequence[str] = (),
) -> Any:
    """A model; outputs are declared without a shape of their own."""
    infos = [value(n, s) for n, s in inputs.items()] if isinstance(inputs, Mapping) else inputs
    graph = helper.make_graph(
        list(nodes),
        "net",
        list(infos),
        [value(name, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(v), n) for n, v in (constants or {}).items()],
    )
    versions = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    ir_version = helper.find_min_ir_version_for(versions[:1])
    return helper.make_model(graph, opset_imports=versions, ir_version=ir_version)


def read(model: Any, input_shapes: Any = None) -> Graph:
    """The graph before any pass."""
    return onnx_file.load(model.SerializeToString(), "net", input_shapes)


def to_graph(array: Array, permutation: tuple[int, ...] | None) -> Array:
    return array if permutation is None else array.transpose(permutation)


def run_graph(graph: Graph, feeds: Mapping[str, Array]) -> list[Array]:
    """Float outputs for one input as ONNX has it."""
    given = {n: to_graph(feeds[n], graph.input_permutations.get(n))[None] for n in graph.inputs}
    values = run_float(graph, given)
    return [
        to_graph(values[name][0], graph.output_permutations.get(name)) for name in graph.outputs
    ]


def assert_close(got: Sequence[Array], wanted: Sequence[Array], tolerance: float = 1e-4) -> None:
    assert len(got) == len(wanted)
    for have, want in zip(got, wanted, strict=True):
        assert have.shape == want.shape
        np.testing.assert_allclose(
            have, want, rtol=0, atol=tolerance * max(1e-6, float(np.abs(want).max()))
        )


def random_feeds(graph: Graph, scale: float = 2.0) -> dict[str, Array]:
    """Inputs as the user gives them."""
    feeds = {}
    for name in graph.inputs:
        permutation = graph.input_permutations.get(name)
        shape = graph.tensors[name].shape
        order = range(len(shape)) if permutation is None else np.argsort(permutation)
        feeds[name] = random(*(shape[axis] for axis in order)) * np.float32(scale)
    return feeds


def check_model(model: Any, input_shapes: Any = None, reference: Any = None) -> Graph:
    """Read, compare with the reference before and after the passes; the graph after them.

    ``reference`` is an equal model, where the evaluator is wrong about this one.
    """
    graph = read(model, input_shapes)
    feeds = random_feeds(graph)
    wanted = ReferenceEvaluator(reference or model).run(None, feeds)
    assert all(np.ptp(w) > 0 or w.size == 1 for w in wanted)
    assert_close(run_graph(graph, feeds), wanted)
    graph = pipeline.run(graph)
    assert_close(run_graph(graph, feeds), wanted)
    return graph


def counts(graph: Graph) -> Counter[str]:
    """How many nodes of each operator a graph has."""
    return Counter(node.op for node in graph.nodes)


def serialized(model: Any) -> bytes:
    return bytes(model.SerializeToString())
