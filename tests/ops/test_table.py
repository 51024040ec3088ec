from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - the name that torch's users know

from edgecnn.errors import UnsupportedError
from edgecnn.frontends.tflite import load
from edgecnn.functions import FUNCTIONS, compute
from edgecnn.ir import Attributes
from edgecnn.ops.add import AddAttributes
from edgecnn.ops.table import Step, TableAttributes
from edgecnn.parity import Artifact, verify
from firmware_export.tflite_writer import to_tflite
from tests.frontends.tflite_models import ModelFile
from tests.ops.case_table import (
    RUNNERS,
    Case,
    Rng,
    Value,
    all_bytes,
    build,
    check,
    draw,
    problem,
    random_cases,
)
from tests.ops.unary_cases import Quant, check_all_bytes, draw_quants, largest_error, unary

#: Parameters of the functions that need some.
PARAMETERS: dict[str, tuple[float, ...]] = {
    "power": (3.0,),
    "clip": (-1.5, 2.5),
    "threshold": (0.5, -1.0),
    "celu": (0.7,),
    "softplus": (2.0, 20.0),
}
#: Functions that are defined from 0 up.
POSITIVE = ("log", "log1p", "sqrt", "rsqrt", "reciprocal")


def table(
    name: str, function: str, x: Quant, output: Quant, parameters: tuple[float, ...] = ()
) -> Case:
    return unary(name, "table", x, output, TableAttributes(function, parameters))


def input_of(function: str) -> Quant:
    return (0.05, -128) if function in POSITIVE else (0.05, 3)


CASES = [
    *(
        table(f, f, input_of(f), (0.04, -20), PARAMETERS.get(f, ()))
        for f in sorted(FUNCTIONS)
    ),
    table("pole-from-below", "reciprocal", (0.05, 127), (0.1, 127)),
    table("negative-power", "power", (0.05, -128), (0.1, -128), (-1.5,)),
    table("saturates", "exp", (0.1, 0), (0.01, -128)),
    table("tiny-output-scale", "silu", (0.1, 0), (1e-8, 5)),
    table("large-scales", "mish", (1e5, 0), (1e5, -100)),
    unary(
        "steps", "table", (0.05, 3), (0.04, -20),
        TableAttributes(steps=(
            Step("add", AddAttributes("relu6"), (0, 3.0)), Step("sigmoid", Attributes(), (1,)),
            Step("add", AddAttributes(), (2, 0)),
        )),
    ),
    unary("bytes", "table", (0.05, 3), (0.04, -20), TableAttributes(values=bytes(range(256)))),
]  # fmt: skip
SHAPES = [
    Case(
        f"rank-{len(shape)}", "table", [Value(shape, 0.05, 3)], TableAttributes("mish"), (0.04, -9)
    )
    for shape in ((7,), (1, 7), (1, 3, 7), (1, 3, 5, 2), (1, 2, 3, 4, 2))
]


def random_table(rng: Rng, name: str) -> Case:
    function = draw(rng, sorted(FUNCTIONS))
    x, output = draw_quants(rng)
    if function in POSITIVE:
        x = (x[0], -128)
    return table(name, function, x, output, PARAMETERS.get(function, ()))


def test_cases(tmp_path: Path) -> None:
    check_all_bytes(CASES, tmp_path)


def test_shapes(tmp_path: Path) -> None:
    check(SHAPES, tmp_path)


def test_random(tmp_path: Path) -> None:
    check_all_bytes(random_cases(random_table, 60, 1), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 5))
def test_many_random(seed: int, tmp_path: Path) -> None:
    check_all_bytes(random_cases(random_table, 80, seed), tmp_path)


TORCH = {
    "mish": F.mish, "silu": F.silu, "gelu": F.gelu, "selu": F.selu, "elu": F.elu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"), "celu": lambda x: F.celu(x, 0.7),
    "softplus": lambda x: F.softplus(x, 2.0), "softsign": F.softsign, "tanhshrink": F.tanhshrink,
    "hard_sigmoid": F.hardsigmoid, "hard_swish": F.hardswish, "leaky_relu": F.leaky_relu,
    "log_sigmoid": F.logsigmoid, "hardshrink": F.hardshrink, "softshrink": F.softshrink,
    "threshold": lambda x: F.threshold(x, 0.5, -1.0), "sign": torch.sign, "erf": torch.erf,
    "round": torch.round, "sigmoid": torch.sigmoid, "rsqrt": torch.rsqrt, "exp": torch.exp,
}  # fmt: skip


@pytest.mark.parametrize("function", TORCH)
def test_functions_are_those_of_torch(function: str) -> None:
    x = np.linspace(-30, 30, 6001)
    want = TORCH[function](torch.from_numpy(x)).numpy()
    got = compute(function, x, PARAMETERS.get(function, ()))
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("case", CASES[: len(FUNCTIONS)], ids=lambda case: case.name)
def test_bytes_are_the_nearest(case: Case) -> None:
    a = case.attributes
    assert isinstance(a, TableAttributes)
    assert largest_error(case, lambda x: compute(a.function, x, a.parameters)) <= 0.5 + 1e-6


def test_a_written_table_is_read_as_bytes() -> None:
    graph = build([table("y", "silu", (0.05, 3), (0.04, -20))])
    (node,) = load(to_tflite(graph), "net").nodes
    assert node.op == "table"
    assert isinstance(node.attributes, TableAttributes)
    assert len(node.attributes.values) == 256


@pytest.mark.parametrize(
    ("function", "x", "reason"),
    [
        ("sqrt", (0.05, -127), "sqrt is not defined at -0.05"),
        ("log", (0.05, 0), "log is not defined at -6.4"),
        ("reciprocal", (0.05, 0), "not defined at 0"),
        ("rsqrt", (0.05, 127), "not defined at -12.75"),
    ],
)
def test_refuses_a_range_outside_of_the_domain(function: str, x: Quant, reason: str) -> None:
    assert reason in (problem(table("y", function, x, (0.1, 0))) or "")


def test_refuses_many_dimensions() -> None:
    case = Case("y", "table", [Value((1, 1, 1, 1, 1, 1))], TableAttributes("mish"), (0.1, 0))
    assert "6 dimensions" in (problem(case) or "")


# --- tables of TFLite's own kernels ---------------------------------------------------------------


def file_of(code: str, x: Quant, output: Quant) -> bytes:
    """A file with one operator of one int8 input."""
    file = ModelFile()
    a, b = file.tensor("x", (1, 256), quant=x), file.tensor("y", (1, 256), quant=output)
    file.operator(code, [a], [b])
    return file.finish([a], [b])


def check_against_file(data: bytes) -> None:
    """numpy, and what is written, against TFLite Micro on the file itself."""
    graph = load(data, "net")
    assert [node.op for node in graph.nodes] == ["table"]
    written = Artifact(graph, to_tflite(graph))
    report = verify(written, RUNNERS[:3], {"x": all_bytes()}, reference=Artifact(graph, data))
    assert report.reference == "tflm"
    assert report.passed, report.summary()


@pytest.mark.parametrize("code", ["ELU", "ABS", "RSQRT"])
@pytest.mark.parametrize("seed", range(12))
def test_int8_kernels_of_tflite_micro_become_tables(code: str, seed: int) -> None:
    x, output = draw_quants(np.random.default_rng(seed))
    if seed % 3 == 0:
        output = (x[0], output[1])
    check_against_file(file_of(code, (x[0], -128) if code == "RSQRT" else x, output))


@pytest.mark.parametrize("code", ["NEG", "EXP", "SQRT", "LOG", "RELU_N1_TO_1", "RELU_0_TO_1"])
def test_refuses_what_tflite_micro_has_no_int8_kernel_for(code: str) -> None:
    with pytest.raises(UnsupportedError, match="no int8 kernel"):
        load(file_of(code, (0.1, 0), (0.1, 0)), "net")


def test_refuses_rsqrt_of_negative_inputs() -> None:
    with pytest.raises(UnsupportedError, match="only -128"):
        load(file_of("RSQRT", (0.1, 0), (0.1, 0)), "net")


def test_only_a_whole_lookup_is_read_as_a_table() -> None:
    """Where the int32 indices are an output too, nothing of the pattern can be left out."""
    file = ModelFile()
    x, wide = file.tensor("x", (1, 6), quant=(0.1, 3)), file.tensor("wide", (1, 6), "int32")
    types = file.schema.TensorType
    cast = file.options("CastOptions", inDataType=types.INT8, outDataType=types.INT32)
    file.operator("CAST", [x], [wide], cast)
    indices, y = file.tensor("indices", (1, 6), "int32"), file.tensor("y", (1, 6), quant=(0.1, 3))
    file.operator("ADD", [wide, file.constant("o", [128])], [indices], file.options("AddOptions"))
    values = file.tensor("t", (256,), "int8", (0.1, 3), all_bytes().reshape(256))
    file.operator("GATHER", [values, indices], [y], file.options("GatherOptions"))
    assert [n.op for n in load(file.finish([x], [y]), "net").nodes] == ["table"]
    with pytest.raises(UnsupportedError, match="CAST"):
        load(file.finish([x], [y, indices]), "net")
