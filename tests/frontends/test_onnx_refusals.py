"""What the ONNX front end refuses, and how it says so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx.helper import make_node as node

from edgecnn.errors import ModelFormatError, UnsupportedError, UserError
from edgecnn.frontends import onnx_file
from tests.frontends.onnx_cases import (
    IMAGE,
    conv,
    f32,
    i64,
    network,
    normalization,
    one,
)
from tests.onnx_models import (
    model_of,
    random,
    read,
    serialized,
    value,
)


def test_lists_every_unsupported_operator() -> None:
    model = network(
        [
            node("Sinh", ["x"], ["a"]),
            node("Relu", ["a"], ["b"]),
            node("MaxPool", ["b"], ["c"], kernel_shape=[2, 2], dilations=[2, 2]),
            node("Fancy", ["c"], ["d"], domain="mine"),
            node("Relu", ["d"], ["y"]),
        ],
        {},
        domains=("mine",),
    )
    with pytest.raises(UnsupportedError) as error:
        read(model)
    found = [(p.operator, p.tensor) for p in error.value.problems]
    assert found == [("Sinh", "a"), ("MaxPool", "c"), ("mine.Fancy", "d")]
    assert "\n" not in str(error.value)


def branch(name: str) -> Any:
    return helper.make_graph([node("Relu", ["x"], [name])], "branch", [], [value(name, IMAGE)])


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "control flow": (
        lambda: network(
            [node("If", ["c"], ["y"], then_branch=branch("a"), else_branch=branch("b"))],
            {"c": np.array(True)},
        ),
        "control flow",
    ),
    "computed weights": (
        lambda: model_of(
            [node("Conv", ["x", "w"], ["y"])], {"x": IMAGE, "w": (1, 4, 3, 3)}
        ),
        "must be constant",
    ),
    "random": (
        lambda: network(
            [node("RandomNormal", [], ["r"], shape=[1]), node("Add", ["x", "r"], ["y"])], {}
        ),
        "it is random",
    ),
    "training": (lambda: normalization(IMAGE, training_mode=1), "training mode"),
    "dropout in training": (
        lambda: one("Dropout", IMAGE, f32(0.5), np.array(True)), "training mode",
    ),
    "max pool dilated": (
        lambda: one("MaxPool", kernel_shape=[2, 2], dilations=[2, 1]), "dilation",
    ),
    "max pool column-major": (
        lambda: one("MaxPool", kernel_shape=[2, 2], storage_order=1), "column-major",
    ),
    "indices": (
        lambda: model_of(
            [node("MaxPool", ["x"], ["y", "i"], kernel_shape=[2, 2])], {"x": IMAGE},
            outputs=("y", "i"),
        ),
        "only the first is",
    ),
    "volume": (lambda: one("MaxPool", (1, 2, 4, 4, 4), kernel_shape=[2, 2, 2]), "(N, C, H, W)"),
    "mean of the batch": (lambda: one("ReduceMean"), "batch"),
    "cast to integers": (lambda: one("Cast", to=TensorProto.INT32), "no float"),
    "product of activations": (
        lambda: model_of([node("MatMul", ["x", "x"], ["y"])], {"x": (1, 1)}), "constant matrix",
    ),
    "transposed volume": (
        lambda: one("ConvTranspose", (1, 2, 4, 4, 4), random(2, 3, 2, 2, 2)), "(N, C, H, W)",
    ),
    "broken size": (
        lambda: one(
            "Resize", (1, 1, 4, 4), None, f32(1, 1, 0.6, 0.6), mode="linear",
            coordinate_transformation_mode="align_corners",
        ),
        "broken size",
    ),
    "empty part": (
        lambda: one("Split", IMAGE, i64(4, 0), outputs=2, axis=1), "one of its parts is empty",
    ),
    "reshape of the batch": (lambda: one("Reshape", IMAGE, i64(2, 4, 9, 8)), "batch size"),
    "huge constant": (
        lambda: network(
            [node("ConstantOfShape", ["s"], ["c"]), node("Add", ["x", "c"], ["y"])],
            {"s": i64(100000, 100000, 1, 1)},
        ),
        "10000000000 values",
    ),
    "impossible constant": (
        lambda: network(
            [node("Concat", ["a", "b"], ["c"], axis=0), node("Add", ["x", "c"], ["y"])],
            {"a": random(2, 2), "b": random(3)},
        ),
        "cannot be computed on its constants",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_operators(case: str) -> None:
    make, message = REFUSED[case]
    with pytest.raises(UserError) as error:
        read(make())
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def outside_data() -> bytes:
    model = conv(6, 4, 3, 3)
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="/etc/passwd")
    return serialized(model)


def changed(change: Callable[[Any], Any]) -> Callable[[], bytes]:
    def make() -> bytes:
        model = conv(6, 4, 3, 3)
        change(model)
        return serialized(model)

    return make


FILES: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "empty"),
    "text": (lambda: b"this is no model", "not an ONNX file"),
    "zeros": (lambda: bytes(100), "not an ONNX file"),
    "tflite": (lambda: b"\x1c\x00\x00\x00TFL3" + bytes(range(200)), "not an ONNX file"),
    "zip": (lambda: b"PK\x03\x04" + bytes(100), "not an ONNX file"),
    "truncated": (lambda: serialized(conv(6, 4, 3, 3))[:-100], "truncated"),
    "no network": (lambda: b"\x08\x08", "not an ONNX file"),
    "outside data": (outside_data, "/etc/passwd"),
    "no opset": (changed(lambda m: m.ClearField("opset_import")), "ONNX file"),
    "future opset": (changed(lambda m: setattr(m.opset_import[0], "version", 999)), "ONNX file"),
    "future format": (changed(lambda m: setattr(m, "ir_version", 999)), "ONNX file"),
    "short weights": (
        changed(lambda m: setattr(m.graph.initializer[0], "raw_data", b"12")), "ONNX file",
    ),
    "unknown tensor": (changed(lambda m: m.graph.node[0].input.__setitem__(1, "w")), "ONNX file"),
    "weights that do not fit": (
        changed(lambda m: m.graph.initializer[0].dims.__setitem__(slice(0, 2), [4, 6])), "Conv",
    ),
    "integer input": (
        changed(lambda m: setattr(m.graph.input[0].type.tensor_type, "elem_type", 7)), "int64",
    ),
    "constant output": (
        changed(lambda m: setattr(m.graph.output[0], "name", "c1")), "does not depend on its input",
    ),
    "negative group": (
        changed(lambda m: m.graph.node[0].attribute.append(helper.make_attribute("group", -1))),
        "groups",
    ),
    "zero stride": (
        changed(
            lambda m: m.graph.node[0].attribute.append(helper.make_attribute("strides", [0, 0]))
        ),
        "strides",
    ),
    "too large a window": (
        changed(
            lambda m: m.graph.node[0].attribute.append(helper.make_attribute("dilations", [9, 9]))
        ),
        "conv2d",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES)
def test_refuses_files(case: str) -> None:
    make, message = FILES[case]
    with pytest.raises(ModelFormatError) as error:
        onnx_file.load(make(), "net")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_names_the_operators_that_onnx_does_not_have() -> None:
    """Also where ONNX's checker stops at the first, and where the file lacks a domain."""
    model = network(
        [
            node("Convolve", ["x"], ["a"]),
            node("Quant", ["a"], ["b"], domain="elsewhere"),
            node("GroupNormalization", ["b"], ["c"]),
            node("Upsample", ["c", "s"], ["y"]),
        ],
        {},
        opset=13,
    )
    with pytest.raises(UnsupportedError) as error:
        onnx_file.load(serialized(model), "net")
    found = [(p.operator, p.tensor) for p in error.value.problems]
    named = [("Convolve", "a"), ("elsewhere.Quant", "b"), ("GroupNormalization", "c")]
    assert found == [*named, ("Upsample", "y")]
    assert "newer opset than the file's, 13" in error.value.problems[2].reason
    assert "dropped this operator" in error.value.problems[3].reason


def test_refuses_scalars() -> None:
    model = network([node("Squeeze", ["x"], ["y"])], {}, (1, 1))
    with pytest.raises(ModelFormatError, match="'y' of the network is a scalar"):
        read(model)


def outcome(data: bytes) -> str:
    """The name of the graph, or the error."""
    try:
        return onnx_file.load(data, "net").name
    except UserError as error:
        return str(error)


def test_survives_random_damage() -> None:
    """Whatever byte is wrong: a graph or one line, never another exception."""
    whole = bytearray(serialized(conv(6, 4, 3, 3)))
    draw = np.random.default_rng(3)
    for _ in range(150):
        damaged = bytearray(whole)
        for place in draw.integers(0, len(whole), int(draw.integers(1, 4))):
            damaged[place] = draw.integers(0, 256)
        assert outcome(bytes(damaged)).count("\n") == 0
