"""The importers of single ONNX operators against ONNX's own reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgecnn import verify
from edgecnn.frontends.builder import GraphBuilder, Unsupported
from edgecnn.frontends.spelling import OnnxNode, importers
from edgecnn.ir import Array
from edgecnn.passes import pipeline
from edgecnn.simulator import run_float

OPSET = 18


def reference(op: str, arrays: list[Array | None], outputs: int, attributes: Any) -> list[Array]:
    import onnx
    from onnx import helper
    from onnx.reference import ReferenceEvaluator

    names = ["" if a is None else f"i{i}" for i, a in enumerate(arrays)]
    results = [f"o{i}" for i in range(outputs)]
    node = helper.make_node(op, names, results, **attributes)
    given = {n: a for n, a in zip(names, arrays, strict=True) if a is not None}
    infos = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for n, a in given.items()
    ]
    ends = [helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, None) for n in results]
    graph = helper.make_graph([node], "g", infos, ends)
    opset = helper.make_opsetid("", OPSET)
    return list(
        ReferenceEvaluator(helper.make_model(graph, opset_imports=[opset])).run(None, given)
    )


def imported(
    op: str, arrays: list[Array | None], fed: int, outputs: int, attributes: Any
) -> list[Array]:
    """What the importer builds, run in floats; the first ``fed`` arrays are activations."""
    b = GraphBuilder("net")
    values: list[str | None] = [
        None
        if array is None
        else b.add_input(f"x{i}", array.shape)
        if i < fed
        else b.constant(array, f"c{i}")
        for i, array in enumerate(arrays)
    ]
    names = [f"o{i}" for i in range(outputs)]
    result = importers().onnx[op](b, OnnxNode(op, OPSET, values, attributes, names))
    b.outputs = result if isinstance(result, list) else [result]
    used = {name for node in b.nodes for name in node.inputs if name}
    b.tensors = {n: t for n, t in b.tensors.items() if t.dtype == "float32" or n in used}
    graph = pipeline.run(b.finish())
    verify.check(graph)
    feeds = {}
    for name, array in zip(graph.inputs, arrays, strict=False):
        assert array is not None
        order = graph.input_permutations.get(name)
        feeds[name] = (array if order is None else array.transpose(order))[None]
    got = run_float(graph, feeds)
    orders = [graph.output_permutations.get(name) for name in graph.outputs]
    return [
        got[n][0] if order is None else got[n][0].transpose(order)
        for n, order in zip(graph.outputs, orders, strict=True)
    ]


def ints(*values: int) -> Array:
    return np.array(values, np.int64)


def floats(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).normal(0, 1, shape).astype(np.float32)


IMAGE = floats(1, 4, 6, 8)
SEQUENCE = floats(1, 3, 9)
SCALES = np.array([1, 1, 2, 2], np.float32)


def resize(**attributes: Any) -> tuple[Any, ...]:
    return "Resize", [IMAGE, None, SCALES], 1, 1, attributes


def sized(*size: int, **attributes: Any) -> tuple[Any, ...]:
    return "Resize", [IMAGE, None, None, ints(1, 4, *size)], 1, 1, attributes


CASES: dict[str, tuple[Any, ...]] = {
    "concat": ("Concat", [IMAGE, floats(1, 2, 6, 8)], 2, 1, {"axis": 1}),
    "concat-negative-axis": ("Concat", [IMAGE, IMAGE], 2, 1, {"axis": -1}),
    "tile": ("Tile", [IMAGE, ints(1, 2, 1, 3)], 1, 1, {}),
    "split-sizes": ("Split", [IMAGE, ints(1, 3)], 1, 2, {"axis": 1}),
    "split-outputs": ("Split", [IMAGE], 1, 3, {"axis": 3, "num_outputs": 3}),
    "slice": ("Slice", [IMAGE, ints(1, -3), ints(4, 9999), ints(2, -1)], 1, 1, {}),
    "gather-steps": ("Gather", [IMAGE, ints(0, 2)], 1, 1, {"axis": 1}),
    "gather-table": ("Gather", [IMAGE, np.array([[0, 1], [3, 2]])], 1, 1, {"axis": 1}),
    "gather-runs": ("Gather", [IMAGE, ints(3, 1, 2, 0, -1)], 1, 1, {"axis": 1}),
    "slice-steps": ("Slice", [IMAGE, ints(1, 0), ints(4, 8), ints(2, 3), ints(2, 3)], 1, 1, {}),
    "slice-backwards": (
        "Slice", [IMAGE, ints(-1), ints(-9999), ints(3), ints(-2)], 1, 1, {},
    ),
    "pad-constant": ("Pad", [IMAGE, ints(0, 0, 1, 2, 0, 0, 3, 0), np.float32([1.5])], 1, 1, {}),
    "pad-reflect": ("Pad", [IMAGE, ints(0, 0, 1, 2, 0, 0, 3, 0)], 1, 1, {"mode": "reflect"}),
    "pad-edge": ("Pad", [IMAGE, ints(0, 0, 1, 2, 0, 0, 3, 0)], 1, 1, {"mode": "edge"}),
    "pad-axes": ("Pad", [IMAGE, ints(1, 2, 2, 1), None, ints(2, 3)], 1, 1, {"mode": "reflect"}),
    "expand": ("Expand", [floats(1, 4, 1, 1), ints(1, 4, 3, 2)], 1, 1, {}),
    "expand-both-ways": ("Expand", [floats(1, 4, 1, 3), ints(1, 5, 1)], 1, 1, {}),
    "space-to-depth": ("SpaceToDepth", [IMAGE], 1, 1, {"blocksize": 2}),
    "depth-to-space": ("DepthToSpace", [floats(1, 8, 3, 2)], 1, 1, {"blocksize": 2}),
    "depth-to-space-crd": (
        "DepthToSpace", [floats(1, 8, 3, 2)], 1, 1, {"blocksize": 2, "mode": "CRD"},
    ),
    "resize-nearest-floor": resize(
        mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"
    ),
    "resize-nearest": resize(mode="nearest"),
    "resize-nearest-size": sized(
        13, 5, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"
    ),
    "resize-half-pixel": resize(mode="linear"),
    "resize-pytorch": resize(mode="linear", coordinate_transformation_mode="pytorch_half_pixel"),
    "resize-corners": sized(
        11, 13, mode="linear", coordinate_transformation_mode="align_corners"
    ),
    "resize-asymmetric": resize(mode="linear", coordinate_transformation_mode="asymmetric"),
    "resize-sequence": (
        "Resize", [SEQUENCE, None, np.float32([1, 1, 2])], 1, 1, {"mode": "linear"},
    ),
    "resize-axes": (
        "Resize", [IMAGE, None, None, ints(9, 4)], 1, 1,
        {"mode": "linear", "axes": [2, 3], "coordinate_transformation_mode": "half_pixel"},
    ),
    "transposed": ("ConvTranspose", [IMAGE, floats(4, 3, 3, 2), floats(3)], 1, 1, {}),
    "transposed-strided": (
        "ConvTranspose", [IMAGE, floats(4, 3, 3, 3)], 1, 1,
        {"strides": [2, 3], "pads": [1, 0, 1, 2], "output_padding": [1, 1]},
    ),
    "transposed-dilated": (
        "ConvTranspose", [IMAGE, floats(4, 3, 3, 3)], 1, 1,
        {"dilations": [2, 2], "strides": [3, 3]},
    ),
    "transposed-sequence": (
        "ConvTranspose", [SEQUENCE, floats(3, 2, 4)], 1, 1, {"strides": [2], "pads": [1, 1]},
    ),
    "sum": ("ReduceSum", [IMAGE, ints(2, 3)], 1, 1, {"keepdims": 0}),
    "max": ("ReduceMax", [IMAGE, ints(-1)], 1, 1, {}),
    "min": ("ReduceMin", [IMAGE, ints(1)], 1, 1, {"keepdims": 1}),
    "sum-of-nothing": ("ReduceSum", [IMAGE], 1, 1, {"noop_with_empty_axes": 1}),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_equals_the_reference(case: str) -> None:
    op, arrays, fed, outputs, attributes = CASES[case]
    want = reference(op, arrays, outputs, attributes)
    got = imported(op, arrays, fed, outputs, attributes)
    for have, expected in zip(got, want, strict=True):
        assert have.shape == expected.shape
        np.testing.assert_allclose(have, expected, rtol=0, atol=1e-5)


REFUSED: dict[str, tuple[tuple[Any, ...], str]] = {
    "cubic": (resize(mode="cubic"), "cubic"),
    "antialias": (resize(mode="linear", antialias=1), "filters"),
    "channels": (("Resize", [IMAGE, None, np.float32([1, 2, 1, 1])], 1, 1, {}), "channels"),
    "other pixels": (resize(mode="nearest", nearest_mode="ceil"), "other pixels"),
    "batch": (("ReduceSum", [IMAGE, ints(0)], 1, 1, {}), "batch"),
    "computed": (("Expand", [IMAGE, IMAGE], 2, 1, {}), "constant"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses(case: str) -> None:
    (op, arrays, fed, outputs, attributes), reason = REFUSED[case]
    with pytest.raises(Unsupported, match=reason):
        imported(op, arrays, fed, outputs, attributes)
