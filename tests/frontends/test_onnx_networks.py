"""Whole ONNX networks: shape arithmetic, layouts, old opsets, other types, exports of PyTorch."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.helper import make_node as node

from edgecnn.frontends import onnx_file
from edgecnn.passes import pipeline
from tests.frontends.onnx_cases import (
    IMAGE,
    SEQUENCE,
    conv,
    i64,
    network,
    old_sum,
    one,
)
from tests.onnx_models import (
    assert_close,
    check_model,
    counts,
    model_of,
    random,
    random_feeds,
    read,
    run_graph,
    value,
)


def test_sum_after_a_layer_is_its_bias() -> None:
    graph = check_model(
        network(
            [
                node("Conv", ["x", "w"], ["c"]),
                node("Add", ["c", "b"], ["s"]),
                node("Relu", ["s"], ["r"]),
                node("Flatten", ["r"], ["f"]),
                node("MatMul", ["f", "m"], ["p"]),
                node("Add", ["v", "p"], ["y"]),
            ],
            {
                "w": random(6, 4, 3, 3), "b": random(6, 1, 1), "m": random(6 * 7 * 6, 3),
                "v": random(3),
            },
        )
    )  # fmt: skip
    assert [n.op for n in graph.nodes] == ["conv2d", "reshape", "fully_connected"]
    assert all(n.inputs[2] for n in graph.nodes if n.op != "reshape")
    assert graph.outputs == ("y",)


def test_nhwc_ends_of_converted_keras_models() -> None:
    """tf2onnx puts transposes at the ends; none is left, and the user's arrays stay NHWC."""
    graph = check_model(
        network(
            [
                node("Transpose", ["x"], ["t"], perm=[0, 3, 1, 2]),
                node("Conv", ["t", "w", "b"], ["c"], auto_pad="SAME_UPPER", strides=[2, 2]),
                node("Relu", ["c"], ["r"]),
                node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
                node("Transpose", ["p"], ["y"], perm=[0, 2, 3, 1]),
            ],
            {"w": random(4, 3, 3, 3), "b": random(4)},
            shape=(1, 16, 12, 3),
        )
    )
    assert counts(graph) == {"conv2d": 1, "max_pool2d": 1}
    assert not graph.input_permutations
    assert not graph.output_permutations
    assert graph.tensors["x"].shape == (1, 16, 12, 3)


def test_layers_of_sequences_absorb_what_follows() -> None:
    vectors = {"s": random(6), "o": random(6), "m": random(6), "v": np.abs(random(6)) + 0.5}
    graph = check_model(
        network(
            [
                node("Conv", ["x", "w"], ["c"], pads=[1, 1]),
                node("BatchNormalization", ["c", "s", "o", "m", "v"], ["b"]),
                node("Relu", ["b"], ["r"]),
                node("Conv", ["r", "u"], ["d"], pads=[1, 1]),
                node("Add", ["r", "d"], ["a"]),
                node("MaxPool", ["a"], ["p"], kernel_shape=[2], strides=[2]),
                node("GlobalAveragePool", ["p"], ["g"]),
                node("Flatten", ["g"], ["y"]),
            ],
            {"w": random(6, 4, 3), "u": random(6, 6, 3), **vectors},
            shape=SEQUENCE,
        )
    )
    layers = {"conv2d": 2, "add": 1, "max_pool2d": 1, "mean": 1}
    assert {op: n for op, n in counts(graph).items() if op in layers} == layers
    assert counts(graph)["transpose"] == 1
    assert set(counts(graph)) == {*layers, "reshape", "transpose"}
    assert graph.outputs == ("y",)


def test_shape_arithmetic_is_folded() -> None:
    """What torch writes for ``x.view(x.size(0), -1)``."""
    graph = check_model(
        network(
            [
                node("Conv", ["x", "w"], ["c"]),
                node("Shape", ["c"], ["s"]),
                node("Constant", [], ["zero"], value=numpy_helper.from_array(np.array(0))),
                node("Gather", ["s", "zero"], ["n"], axis=0),
                node("Unsqueeze", ["n", "axes"], ["n1"]),
                node("Concat", ["n1", "rest"], ["shape"], axis=0),
                node("Cast", ["shape"], ["shape64"], to=TensorProto.INT64),
                node("Reshape", ["c", "shape64"], ["f"]),
                node("Transpose", ["m"], ["mt"], perm=[1, 0]),
                node("Gemm", ["f", "mt"], ["y"]),
            ],
            {
                "w": random(2, 4, 3, 3), "axes": i64(0), "rest": i64(-1),
                "m": random(3, 2 * 7 * 6),
            },
            shape=("batch", 4, 9, 8),
        )
    )  # fmt: skip
    assert "m" in graph.tensors
    assert counts(graph)["transpose"] == 0


def test_gathering_one_drops_the_axis() -> None:
    graph = check_model(one("Gather", IMAGE, np.array(-2), axis=2))
    assert counts(graph)["slice"] == 1


def test_functions_are_inlined() -> None:
    model = network([node("Twice", ["x"], ["y"], domain="mine")], {}, domains=("mine",))
    model.functions.append(
        helper.make_function(
            "mine", "Twice", ["a"], ["b"], [node("Add", ["a", "a"], ["b"])],
            [helper.make_opsetid("", 21)],
        )
    )  # fmt: skip
    assert counts(check_model(model)) == {"add": 1}


def test_old_opsets_are_converted() -> None:
    model = old_sum()
    graph = read(model)
    feeds = random_feeds(graph)
    bias = numpy_helper.to_array(model.graph.initializer[0])
    assert_close(run_graph(graph, feeds), [feeds["x"] + bias])


def test_weights_of_old_files_need_not_be_inputs() -> None:
    model = old_sum()
    model.ir_version = 3
    del model.graph.input[1:]
    graph = read(model)
    feeds = random_feeds(graph)
    bias = numpy_helper.to_array(model.graph.initializer[0])
    assert_close(run_graph(graph, feeds), [feeds["x"] + bias])


@pytest.mark.parametrize(("axis", "size"), [(0, 1), (1, 4), (2, 9), (3, 8), (-3, 4)])
def test_old_operands_start_at_an_axis(axis: int, size: int) -> None:
    model = old_sum(size, axis=axis)
    graph = read(model)
    feeds = random_feeds(graph)
    shape = [size if i == axis % 4 else 1 for i in range(4)]
    bias = numpy_helper.to_array(model.graph.initializer[0]).reshape(shape)
    assert_close(run_graph(graph, feeds), [feeds["x"] + bias])


def test_old_slopes_are_by_channel() -> None:
    """Also where the width is that of the channels, along which newer slopes would broadcast."""
    image, slopes = (1, 4, 5, 4), random(4)
    old = model_of(
        [node("PRelu", ["x", "s"], ["y"])],
        [value("x", image), value("s", (4,))],
        {"s": slopes},
        opset=6,
    )
    old.graph.output[0].CopyFrom(value("y", image))
    check_model(old, reference=one("PRelu", image, slopes.reshape(4, 1, 1)))


@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_other_floats_are_computed_in_float32(kind: Any) -> None:
    weights = random(6, 4, 3, 3).astype(kind)
    dtype = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    model = model_of([node("Conv", ["x", "w"], ["y"])], [value("x", IMAGE, dtype)], {"w": weights})
    model.graph.output[0].type.tensor_type.elem_type = dtype
    graph = pipeline.run(read(model))
    single = conv(6, 4, 3, 3, bias=False)
    single.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights.astype(np.float32), "c0"))
    feeds = random_feeds(graph)
    assert_close(run_graph(graph, feeds), run_graph(read(single), feeds))


def test_integer_input_that_is_cast() -> None:
    model = model_of(
        [node("Cast", ["x"], ["f"], to=TensorProto.FLOAT), node("Relu", ["f"], ["y"])],
        [value("x", IMAGE, TensorProto.UINT8)],
    )
    graph = read(model)
    feeds = random_feeds(graph)
    assert_close(run_graph(graph, feeds), [np.maximum(feeds["x"], 0)])


TORCH_MODELS: dict[str, Callable[[Any], Any]] = {
    "classifier": lambda nn: nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU6(), nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 3, groups=8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Dropout(), nn.Linear(8, 5), nn.Softmax(dim=1),
    ),
    "image to image": lambda nn: nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ReLU(), nn.ZeroPad2d((1, 0, 2, 1)),
        nn.AvgPool2d(3, 2, padding=1), nn.Conv2d(4, 6, 1, bias=False),
    ),
    "flattened image": lambda nn: nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2, ceil_mode=True), nn.Flatten(),
        nn.Linear(4 * 6 * 5, 7), nn.BatchNorm1d(7),
    ),
}  # fmt: skip


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("case", TORCH_MODELS)
def test_torch_models(case: str, dynamic: bool) -> None:
    import torch

    from tests.torch_helpers import randomize

    module = randomize(TORCH_MODELS[case](torch.nn))
    x = torch.from_numpy(random(1, 3, 13, 12))
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (x,), file, dynamo=False, input_names=["x"], output_names=["y"],
            dynamic_axes={"x": {0: "batch"}} if dynamic else None,
        )  # fmt: skip
    graph = pipeline.run(onnx_file.load(file.getvalue(), "net"))
    with torch.no_grad():
        wanted = module(x).numpy()
    assert_close(run_graph(graph, {"x": x.numpy()}), [wanted])
    assert counts(graph)["transpose"] == 0
    assert graph.outputs == ("y",)
