from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgecnn import verify as invariants
from edgecnn.errors import ModelFormatError, UnsupportedError, UserError
from edgecnn.frontends.tflite import load, parse, tensor_names
from edgecnn.ir import Array, Graph, QuantParams
from edgecnn.ops.reshape import ReshapeAttributes
from edgecnn.parity import Artifact, random_feeds, verify
from edgecnn.simulator import run_float, run_int
from edgecnn.support import problems
from firmware_export.runners import litert, numpy_simulator, tflite_runtime, tflm
from firmware_export.tflite_writer import to_tflite
from tests.frontends.tflite_models import ModelFile
from tests.generated_networks import chain, every_case
from tests.ops.case_table import OPTIONAL_RUNNERS

STOCK = (numpy_simulator.RUNNER, tflm.RUNNER, tflite_runtime.RUNNER, litert.RUNNER)

#: Every .tflite file of the shared folder, and whether it is int8.
MODELS = {
    "mlperf_tiny/ad01_fp32": False,
    "mlperf_tiny/ad01_int8": True,
    "mlperf_tiny/kws_ref_model": True,
    "mlperf_tiny/kws_ref_model_float32": False,
    "mlperf_tiny/pretrainedResnet": False,
    "mlperf_tiny/pretrainedResnet_quant": True,
    "mlperf_tiny/vww_96_float": False,
    "mlperf_tiny/vww_96_int8": True,
    "tflm/hello_world_float": False,
    "tflm/hello_world_int8": True,
    "tflm/micro_speech__models__micro_speech_quantized": True,
    "tinymaix/cifar10_f": False,
    "tinymaix/cifar10_q": True,
    "tinymaix/mnist_dw_f": False,
    "tinymaix/mnist_dw_q": True,
    "tinymaix/mnist_resnet_f": False,
    "tinymaix/mnist_resnet_q": True,
    "tinymaix/mnist_valid_f": False,
    "tinymaix/mnist_valid_q": True,
}


def check_on_stock_runners(data: bytes) -> Graph:
    """The graph of a file, after TFLM on the file itself agreed with everything that we write."""
    graph = load(data, "net")
    invariants.check(graph)
    written = Artifact(graph, to_tflite(graph))
    report = verify(written, STOCK, random_feeds(graph, 10, 1), reference=Artifact(graph, data))
    assert report.reference == "tflm"
    assert report.passed, [(r.name, r.first_mismatch) for r in report.runners]
    assert {r.name for r in report.runners if not r.available} <= OPTIONAL_RUNNERS
    return graph


# --- models in the wild ------------------------------------------------------------------------


@pytest.mark.parametrize("model", MODELS)
def test_reads_official_models(model: str, shared_path: Callable[[str], Path]) -> None:
    graph = load(shared_path(f"models/{model}.tflite").read_bytes(), "net")
    invariants.check(graph)
    assert graph.is_quantized is MODELS[model]
    assert problems(graph) == ()


@pytest.mark.parametrize("model", [name for name, is_int8 in MODELS.items() if is_int8])
def test_official_int8_models_keep_their_bytes(
    model: str, shared_path: Callable[[str], Path]
) -> None:
    """numpy on our reading, against TFLM on the original file, every tensor."""
    data = shared_path(f"models/{model}.tflite").read_bytes()
    graph = load(data, "net")
    artifact = Artifact(graph, data)
    report = verify(artifact, (numpy_simulator.RUNNER, tflm.RUNNER), random_feeds(graph, 2, 1))
    assert report.reference == "tflm"
    assert report.passed, report.runners[0].first_mismatch


# --- what is not a model -----------------------------------------------------------------------


def read(data: bytes) -> None:
    """Read as the commands do; only errors that name the user's mistake may come out."""
    try:
        graph = load(data, "net")
        invariants.check(graph)
        problems(graph)
    except UserError:
        pass


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "empty"),
        (b"\x00", "not a TFLite file"),
        (b"PK\x03\x04 zip file", "not a TFLite file"),
        (b"\x08\x00\x00\x00ONNX" + bytes(100), "not a TFLite file"),
        (b"\xff\xff\xff\x7fTFL3", "truncated or corrupted"),
        (b"\x08\x00\x00\x00TFL3", "truncated or corrupted"),
        (b"\x00\x00\x00\x00TFL3" + bytes(64), "truncated or corrupted"),
        (b"\x08\x00\x00\x00TFL3" + b"\xff" * 64, "truncated or corrupted"),
    ],
    ids=[
        "empty",
        "one-byte",
        "zip",
        "other-identifier",
        "far-root",
        "root-at-end",
        "zeros",
        "ones",
    ],
)
def test_refuses_what_is_no_model(data: bytes, message: str) -> None:
    with pytest.raises(ModelFormatError, match=message):
        load(data, "net")


def test_truncated_files_are_refused() -> None:
    """The file ends with its buffers' tables or its root, so each cut destroys something."""
    data = to_tflite(chain())
    for end in sorted({*range(0, 200, 7), *range(200, len(data) - 8, 61)}):
        with pytest.raises((ModelFormatError, UnsupportedError)):
            load(data[:end], "net")


@pytest.mark.parametrize("seed", range(8))
def test_mutated_files_never_crash(seed: int) -> None:
    """Bytes flipped, overwritten or made giant, everywhere in the file: no foreign exception."""
    data = to_tflite(chain())
    rng = random.Random(seed)
    giants = (b"\xff\xff\xff\x7f", b"\xff\xff\xff\xff", b"\x00\x00\x00\x80", b"\xff\xff\x00\x00")
    for _ in range(60):
        mutated = bytearray(data)
        for _ in range(rng.choice((1, 1, 2, 8))):
            at = rng.randrange(8, len(data) - 4)
            if rng.random() < 0.5:
                mutated[at] ^= 1 << rng.randrange(8)
            else:
                mutated[at : at + 4] = rng.choice(giants)
        read(bytes(mutated))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 140))
def test_many_mutated_files_never_crash(seed: int) -> None:
    test_mutated_files_never_crash(seed)


def relu_file() -> tuple[ModelFile, int, int]:
    """x → RELU → y; not finished."""
    file = ModelFile()
    x, y = (file.tensor(name, (1, 6), quant=(0.1, 3)) for name in "xy")
    file.operator("RELU", [x], [y])
    return file, x, y


def broken(change: Callable[[ModelFile], None]) -> bytes:
    file, x, y = relu_file()
    change(file)
    return file.finish([x], [y])


def _shape(index: int, shape: list[int]) -> Callable[[ModelFile], None]:
    def change(file: ModelFile) -> None:
        file.model.subgraphs[0].tensors[index].shape = np.array(shape, np.int32)

    return change


def _quant(**values: list[float]) -> Callable[[ModelFile], None]:
    def change(file: ModelFile) -> None:
        for field, value in values.items():
            kind = np.float32 if field == "scale" else np.int64
            setattr(file.model.subgraphs[0].tensors[0].quantization, field, np.array(value, kind))

    return change


def _operator(**values: list[int]) -> Callable[[ModelFile], None]:
    def change(file: ModelFile) -> None:
        for field, value in values.items():
            setattr(file.model.subgraphs[0].operators[0], field, np.array(value, np.int32))

    return change


def _opcode(file: ModelFile) -> None:
    file.model.subgraphs[0].operators[0].opcodeIndex = 99


def _no_operators(file: ModelFile) -> None:
    file.model.subgraphs[0].operators = []


def _buffer(file: ModelFile) -> None:
    file.model.subgraphs[0].tensors[0].buffer = 77


@pytest.mark.parametrize(
    "change",
    [
        _shape(0, [1, -6]),
        _shape(0, [1, 0]),
        _shape(0, [2**31 - 1, 2**31 - 1]),
        _shape(1, [1, 7]),
        _quant(scale=[0.0]),
        _quant(scale=[-1.0]),
        _quant(scale=[float("nan")]),
        _quant(scale=[float("inf")]),
        _quant(zeroPoint=[1000]),
        _quant(zeroPoint=[2**40]),
        _quant(scale=[0.1] * 5, zeroPoint=[0] * 5),
        _operator(inputs=[99]),
        _operator(inputs=[-1]),
        _operator(inputs=[]),
        _operator(outputs=[99]),
        _operator(outputs=[]),
        _operator(inputs=[1]),
        _opcode,
        _no_operators,
        _buffer,
    ],
)
def test_refuses_malformed_networks(change: Callable[[ModelFile], None]) -> None:
    with pytest.raises((ModelFormatError, UnsupportedError)):
        load(broken(change), "net")


def test_the_unchanged_file_is_read() -> None:
    graph = check_on_stock_runners(broken(lambda file: None))
    assert [node.op for node in graph.nodes] == ["relu"]


def test_refuses_a_vast_fill() -> None:
    """A few bytes must not ask for gigabytes."""
    file, x, _y = relu_file()
    filled = file.tensor("filled", (2**30, 2**30), "float32")
    dims, value = file.constant("dims", [2**30, 2**30]), file.constant("value", 1.0, np.float32)
    file.operator("FILL", [dims, value], [filled], file.options("FillOptions"))
    z = file.tensor("z", (2**30, 2**30), "float32")
    file.operator("ADD", [filled, x], [z], file.options("AddOptions"))
    with pytest.raises((ModelFormatError, UnsupportedError)):
        load(file.finish([x], [z]), "net")


# --- what cannot be exported -------------------------------------------------------------------


def test_unsupported_operators_are_listed_all_at_once() -> None:
    file = ModelFile()
    names = ("x", "sorted", "rounded", "after", "custom")
    x, indices, rounded, after, custom = (file.tensor(n, (1, 6), quant=(0.1, 3)) for n in names)
    file.operator("SEGMENT_SUM", [x, x], [indices])
    file.operator("ROUND", [x], [rounded])
    file.operator("RELU", [rounded], [after])
    file.operator("CUSTOM", [x], [custom])
    file.model.operatorCodes[-1].customCode = "MyOwnOperator"
    with pytest.raises(UnsupportedError) as caught:
        load(file.finish([x], [indices, after, custom]), "net")
    found = [(problem.operator, problem.tensor) for problem in caught.value.problems]
    assert found == [
        ("SEGMENT_SUM", "sorted"),
        ("ROUND", "rounded"),
        ("CUSTOM MyOwnOperator", "custom"),
    ]
    assert "3 unsupported operators" in str(caught.value)


def test_an_unsupported_fused_activation_is_named() -> None:
    file = ModelFile()
    x, y = (file.tensor(name, (1, 6), quant=(0.1, 3)) for name in "xy")
    tanh = file.schema.ActivationFunctionType.TANH
    file.operator("ADD", [x, x], [y], file.options("AddOptions", fusedActivationFunction=tanh))
    with pytest.raises(UnsupportedError, match="ADD at 'y': its fused activation TANH"):
        load(file.finish([x], [y]), "net")


def test_int16_activations_are_refused_by_name() -> None:
    file = ModelFile()
    x, y = (file.tensor(name, (1, 6), "int16", (0.1, 0)) for name in "xy")
    file.operator("RELU", [x], [y])
    with pytest.raises(UserError, match="int16"):
        load(file.finish([x], [y]), "net")


# --- ends in float or uint8 --------------------------------------------------------------------


def ended_file(outer: str, outer_quant: tuple[float, int] | None, *, at_the_end: bool) -> bytes:
    """outer → QUANTIZE → RELU6 → int8, or on to DEQUANTIZE or QUANTIZE → outer."""
    file = ModelFile()
    x = file.tensor("x", (1, 2, 3), outer, outer_quant)
    inner, middle = (file.tensor(n, (1, 2, 3), quant=(0.1, -5)) for n in ("inner", "middle"))
    file.operator("QUANTIZE", [x], [inner], file.options("QuantizeOptions"))
    file.operator("RELU6", [inner], [middle])
    if not at_the_end:
        return file.finish([x], [middle])
    y = file.tensor("y", (1, 2, 3), outer, outer_quant)
    if outer == "float32":
        file.operator("DEQUANTIZE", [middle], [y], file.options("DequantizeOptions"))
    else:
        file.operator("QUANTIZE", [middle], [y], file.options("QuantizeOptions"))
    return file.finish([x], [y])


@pytest.mark.parametrize("at_the_end", [False, True])
@pytest.mark.parametrize(
    ("outer", "quant"), [("float32", None), ("uint8", (0.1, 123))], ids=["float32", "uint8"]
)
def test_ends_in_another_type_are_stripped(
    outer: str, quant: tuple[float, int] | None, at_the_end: bool
) -> None:
    graph = check_on_stock_runners(ended_file(outer, quant, at_the_end=at_the_end))
    assert (graph.inputs, graph.outputs) == (("inner",), ("middle",))
    assert [node.op for node in graph.nodes] == ["relu6"]
    assert graph.is_quantized


def test_an_input_that_is_also_read_as_float_is_not_stripped() -> None:
    file = ModelFile()
    x = file.tensor("x", (1, 6), "float32")
    inner, y = (file.tensor(name, (1, 6), quant=(0.1, 0)) for name in ("inner", "y"))
    z = file.tensor("z", (1, 6), "float32")
    file.operator("QUANTIZE", [x], [inner], file.options("QuantizeOptions"))
    file.operator("RELU", [inner], [y])
    file.operator("RELU", [x], [z])
    with pytest.raises(UnsupportedError, match="QUANTIZE"):
        load(file.finish([x], [y, z]), "net")


# --- shape arithmetic, constants, names --------------------------------------------------------


def test_shape_arithmetic_is_folded() -> None:
    """x's batch is taken out of its shape, packed with 24, and x is reshaped to that."""
    file = ModelFile()
    x, y = file.tensor("x", (1, 3, 4, 2), quant=(0.1, 3)), file.tensor("y", (1, 24), quant=(0.1, 3))
    shape, batch, target = (
        file.tensor(n, s, "int32") for n, s in (("s", (4,)), ("b", ()), ("t", (2,)))
    )
    zero, one, step = (file.constant(n, [v]) for n, v in (("zero", 0), ("one", 1), ("step", 1)))
    size = file.constant("size", 24)
    file.operator(
        "SHAPE", [x], [shape], file.options("ShapeOptions", outType=file.schema.TensorType.INT32)
    )
    slicing = file.options("StridedSliceOptions", shrinkAxisMask=1)
    file.operator("STRIDED_SLICE", [shape, zero, one, step], [batch], slicing)
    file.operator(
        "PACK", [batch, size], [target], file.options("PackOptions", valuesCount=2, axis=0)
    )
    file.operator("RESHAPE", [x, target], [y], file.options("ReshapeOptions"))
    graph = check_on_stock_runners(file.finish([x], [y]))
    assert [node.op for node in graph.nodes] == ["reshape"]
    assert graph.nodes[0].attributes == ReshapeAttributes((1, 24))
    assert set(graph.tensors) == {"x", "y"}


def hybrid_file(quant: QuantParams) -> tuple[bytes, Array]:
    """A float fully connected layer whose weights are kept in int8."""
    weights = np.arange(-9, 9).astype(np.int8).reshape(3, 6)
    file = ModelFile()
    x, y = file.tensor("x", (1, 6), "float32"), file.tensor("y", (1, 3), "float32")
    w = file.tensor("w", (3, 6), "int8", quant, weights)
    bias = file.constant("bias", [1.0, 2.0, 3.0], np.float32)
    file.operator("FULLY_CONNECTED", [x, w, bias], [y], file.options("FullyConnectedOptions"))
    return file.finish([x], [y]), weights


@pytest.mark.parametrize(
    "quant",
    [QuantParams.per_tensor(0.5, 0), QuantParams((0.5, 0.25, 2.0), (0, 0, 0), 0)],
    ids=["per-tensor", "per-channel"],
)
def test_int8_weights_of_a_float_network_are_dequantized(quant: QuantParams) -> None:
    data, weights = hybrid_file(quant)
    graph = load(data, "net")
    invariants.check(graph)
    real = weights * np.array(quant.scale, np.float32).reshape(-1, 1)
    kept = graph.constant("w")
    assert kept is not None
    np.testing.assert_array_equal(kept, real)
    x = np.array([[[1, -2, 3, 0, 5, 0.5]]], np.float32)
    np.testing.assert_allclose(run_float(graph, {"x": x})["y"][0], x[0] @ real.T + [1, 2, 3])


def test_equal_names_are_told_apart() -> None:
    """Three tensors of one name: the graph's are unique, and the runners still find them."""
    file = ModelFile()
    a, b, c = (file.tensor("same", (1, 6), quant=(0.1, 3)) for _ in range(3))
    file.operator("RELU", [a], [b])
    file.operator("RELU6", [b], [c])
    graph = check_on_stock_runners(file.finish([a], [c]))
    assert len(set(graph.activations())) == 3


def test_a_numbered_name_that_is_taken_is_numbered_again() -> None:
    file = ModelFile()
    for name in ("a", "a#2", "a", "", "tensor_3"):
        file.tensor(name, (1,))
    names = tensor_names(parse(file.finish([0], [0])).subgraphs[0])
    assert len(set(names)) == 5


def test_names_of_the_writer_do_not_take_those_of_the_graph() -> None:
    """The writer adds tensors (here a padded image); the graph may hold one of that name."""
    file = ModelFile()
    x = file.tensor("x", (1, 4, 4, 1), quant=(0.1, 3))
    padded = file.tensor("padded", (1, 5, 5, 1), quant=(0.1, 3))
    y = file.tensor("padded_padded", (1, 2, 2, 1), quant=(0.1, 3))
    amounts = file.constant("amounts", [[0, 0], [1, 0], [1, 0], [0, 0]])
    file.operator("PAD", [x, amounts], [padded], file.options("PadOptions"))
    options = file.options(
        "Pool2DOptions", padding=1, strideH=2, strideW=2, filterHeight=3, filterWidth=3
    )
    file.operator("MAX_POOL_2D", [padded], [y], options)
    graph = check_on_stock_runners(file.finish([x], [y]))
    tensors = {
        name: tensor for name, tensor in graph.tensors.items() if name in graph.activations()
    }
    assert set(tensors) == {"x", "padded", "padded_padded"}


# --- there and back ----------------------------------------------------------------------------


def assert_same(a: Graph, b: Graph) -> None:
    """Equal nodes, ends and tensors; hashes of the sources aside."""
    assert (a.nodes, a.inputs, a.outputs) == (b.nodes, b.inputs, b.outputs)
    assert set(a.tensors) == set(b.tensors)
    for name, tensor in a.tensors.items():
        other = b.tensors[name]
        assert (tensor.shape, tensor.dtype, tensor.quant) == (other.shape, other.dtype, other.quant)
        assert (tensor.data is None) == (other.data is None)
        if tensor.data is not None and other.data is not None:
            np.testing.assert_array_equal(tensor.data, other.data)


def test_writing_and_reading_gives_the_same_graph() -> None:
    once = load(to_tflite(chain()), "chain")
    again = load(to_tflite(once), "chain")
    assert_same(once, again)
    assert to_tflite(once) == to_tflite(again)


def test_writing_and_reading_keeps_every_byte() -> None:
    """For the cases of all operators, whose odd paddings come back as nodes of their own."""
    graph = every_case()
    again = load(to_tflite(graph), "every")
    feeds = random_feeds(graph, 2, 1)
    expected, got = run_int(graph, feeds), run_int(again, feeds)
    for name in graph.outputs:
        np.testing.assert_array_equal(got[name], expected[name], err_msg=name)


def test_writing_is_deterministic() -> None:
    assert to_tflite(chain()) == to_tflite(chain())


def test_the_source_is_identified() -> None:
    assert (
        load(to_tflite(chain()), "net").source_sha256
        != load(broken(lambda f: None), "net").source_sha256
    )
