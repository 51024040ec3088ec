"""Builds small QDQ networks and compares their int8 graphs with ONNX's reference evaluator."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import ModelProto
from onnx.helper import make_node as node
from onnx.reference import ReferenceEvaluator

from edgecnn.data import to_feeds
from edgecnn.fixedpoint import dequantize
from edgecnn.ir import Array, Graph
from edgecnn.passes import pipeline
from edgecnn.simulator import run_int
from edgecnn.support import require_supported
from tests.onnx_models import model_of, random_feeds, read

IMAGE = (1, 4, 8, 6)
draw = np.random.default_rng(11)


class Network:
    """A QDQ network under construction; each method appends nodes and returns a name."""

    def __init__(self, shape: tuple[int, ...] = IMAGE, unsigned: bool = True) -> None:
        self.shape = shape
        self.unsigned = unsigned
        self.nodes: list[Any] = []
        self.constants: dict[str, Array] = {}

    def constant(self, name: str, array: Any) -> str:
        self.constants[name] = np.asarray(array)
        return name

    def float(self, op: str, *inputs: str, **attributes: Any) -> str:
        output = f"{op.lower()}{len(self.nodes)}"
        self.nodes.append(node(op, list(inputs), [output], **attributes))
        return output

    def rounded(self, x: str, scale: float, zero_point: int = 0) -> str:
        """QuantizeLinear and DequantizeLinear; the zero point is that of int8 codes."""
        if self.unsigned:
            zero: Any = np.uint8(zero_point + 128)
        else:
            zero = np.int8(zero_point)
        base = f"q{len(self.nodes)}"
        s, z = self.constant(f"{base}_s", np.float32(scale)), self.constant(f"{base}_z", zero)
        self.nodes.append(node("QuantizeLinear", [x, s, z], [f"{base}_codes"]))
        self.nodes.append(node("DequantizeLinear", [f"{base}_codes", s, z], [base]))
        return base

    def codes(self, name: str, codes: Array, scales: Any, axis: int = 0) -> str:
        """A constant of int8 or int32 codes and its DequantizeLinear, symmetric."""
        s = self.constant(f"{name}_s", np.asarray(scales, np.float32))
        z = self.constant(f"{name}_z", np.zeros(np.shape(scales), codes.dtype))
        self.constant(name, codes)
        per_channel = {"axis": axis} if np.ndim(scales) else {}
        self.nodes.append(node("DequantizeLinear", [name, s, z], [f"{name}_real"], **per_channel))
        return f"{name}_real"

    def model(self, output: str, opset: int = 13) -> Any:
        nodes = [*self.nodes, node("Identity", [output], ["y"])]
        return model_of(nodes, {"x": self.shape}, self.constants, opset=opset)


def weights(*shape: int) -> Array:
    return draw.integers(-127, 128, shape).astype(np.int8)


def biases(count: int, largest: int = 2000) -> Array:
    return draw.integers(-largest, largest, count).astype(np.int32)


def int8(model: Any) -> Graph:
    graph = read(model)
    after = pipeline.run(graph)
    require_supported(after)
    return after


def evaluated(model: Any, feeds: dict[str, Array]) -> list[Array]:
    """What ONNX computes; its evaluator knows DequantizeLinear of newer opsets only."""
    newer = ModelProto.FromString(model.SerializeToString())
    newer.opset_import[0].version, newer.ir_version = 21, 10
    return list(ReferenceEvaluator(newer).run(None, feeds))


def assert_near_reference(graph: Graph, model: Any, steps: float = 2.0) -> None:
    """Outputs are within ``steps`` of what ONNX computes: rounding differs, scales do not."""
    feeds = random_feeds(graph)
    wanted = evaluated(model, feeds)
    values = run_int(graph, to_feeds(graph, feeds))
    for name, want in zip(graph.outputs, wanted, strict=True):
        tensor, permutation = graph.tensors[name], graph.output_permutations.get(name)
        got = dequantize(values[name][0], tensor.scale, tensor.zero_point)
        got = got if permutation is None else got.transpose(permutation)
        assert np.ptp(want) > 20 * tensor.scale
        assert np.abs(got - want).max() <= steps * tensor.scale * 1.001


def assert_runners_agree(graph: Graph, samples: int = 5) -> None:
    """Every runner of this machine that is installed computes the same bytes."""
    from edgecnn.parity import random_feeds as int8_feeds
    from edgecnn.parity import verify
    from firmware_export.runners import HOST_RUNNERS, select
    from firmware_export.scratch import generated
    from firmware_export.tflite_writer import to_tflite

    with generated(graph, to_tflite(graph)) as artifact:
        report = verify(artifact, select(HOST_RUNNERS), int8_feeds(graph, samples, 0))
    assert report.passed, report.summary()
    assert sum(runner.available for runner in report.runners) >= 3
