"""The exported C on QEMU's machines: exact with both compilers, and every crash has one line."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import edgecnn
from edgecnn.errors import FitError, UserError
from edgecnn.ir import Graph
from edgecnn.ops.argmax import ArgmaxAttributes
from edgecnn.ops.reshape import ReshapeAttributes
from edgecnn.parity import Artifact, Runner, draw_feeds, random_feeds, verify
from firmware_export.device import qemu
from firmware_export.device.build import COMPILERS
from firmware_export.device.qemu import QemuError
from firmware_export.runners import HOST_RUNNERS, all_runners, host_c, numpy_simulator, select
from firmware_export.runners.qemu import RUNNERS, QemuRunner
from firmware_export.tflite_writer import to_tflite
from tests.command_line import fails, small_int8, succeeds
from tests.float_ends import exported as exported_with_floats
from tests.network_builder import OPERATORS, named_cases
from tests.ops.case_table import Case, Value, build, write_c

NAMES = ("qemu-mps2-an385", "qemu-mps2-an386", "qemu-mps2-an500", "qemu-mps2-an505")
each_machine = pytest.mark.parametrize("runner", RUNNERS, ids=lambda runner: runner.name)
each_compiler = pytest.mark.parametrize("compiler", COMPILERS)


@pytest.fixture(autouse=True)
def tools(require_tool: Callable[[str], None]) -> None:
    require_tool("qemu-system-arm")
    require_tool("arm-none-eabi-gcc")


def exported(graph: Graph, directory: Path) -> Artifact:
    directory.mkdir(exist_ok=True)
    write_c(graph, directory)
    return Artifact(graph, to_tflite(graph), graph.name, directory)


def check(artifact: Artifact, runners: Sequence[Runner], samples: int, floats: int = 0) -> None:
    """Every tensor of every sample is what numpy computes."""
    feeds = draw_feeds(artifact, samples, 0)
    report = verify(artifact, [numpy_simulator.RUNNER, *runners], feeds)
    assert report.passed, report.summary()
    for result in report.runners[1:]:
        assert result.available, result.reason
        assert result.tensors == len(artifact.graph.activations()) + floats


# --- discovery --------------------------------------------------------------------------------


def test_the_machines_are_runners() -> None:
    assert tuple(r.name for r in RUNNERS) == NAMES
    assert set(NAMES) < set(all_runners())
    assert tuple(all_runners())[: len(HOST_RUNNERS)] == HOST_RUNNERS
    assert [r.name for r in select("host-c,qemu-mps2-an500")] == ["host-c", "qemu-mps2-an500"]


def test_verify_boots_every_machine(tmp_path: Path) -> None:
    edgecnn.export(small_int8(), tmp_path, name="net", samples=0, runners="numpy")
    report = succeeds("verify", tmp_path, "--samples", 4, "--json").json
    for name in NAMES:
        assert report["runners"][name]["values"] == report["runners"]["numpy"]["values"] > 0
        assert report["runners"][name]["mismatches"] == 0


def test_export_boots_none_by_itself(tmp_path: Path) -> None:
    result = edgecnn.export(small_int8(), tmp_path, name="net", samples=0)
    assert not set(NAMES) & {r.name for r in result.parity.runners}


# --- exact ------------------------------------------------------------------------------------


def one_case_of_each_operator() -> Graph:
    cases = [replace(named_cases(op)[0], name=op) for op in OPERATORS if named_cases(op)]
    assert len(cases) > 30
    return build(cases, "every")


#: Each compiler once; the other pairs take as long.
QUICK = {("qemu-mps2-an385", "clang"), ("qemu-mps2-an386", "gcc"), ("qemu-mps2-an505", "clang")}


@pytest.mark.parametrize(
    ("runner", "compiler"),
    [
        pytest.param(
            runner, compiler, id=f"{runner.name}-{compiler}",
            marks=[] if (runner.name, compiler) in QUICK else pytest.mark.slow,
        )
        for runner in RUNNERS
        for compiler in COMPILERS
    ],
)  # fmt: skip
def test_every_operator(runner: QemuRunner, compiler: str, tmp_path: Path) -> None:
    check(exported(one_case_of_each_operator(), tmp_path), [runner.built_by(compiler)], 3)


def ports() -> Graph:
    """Two inputs; one goes out in another shape, of the other the indices of its largest."""
    x, y = Value((2, 3, 4), 0.1, 3), Value((5,), 0.2, -7)
    return build(
        [
            Case("index", "argmax", [x], ArgmaxAttributes(2)),
            Case("shape", "reshape", [y], ReshapeAttributes((1, 5))),
        ],
        "ports",
    )


@each_machine
def test_several_inputs_outputs_and_indices(runner: QemuRunner, tmp_path: Path) -> None:
    graph = ports()
    artifact = exported(graph, tmp_path)
    check(artifact, [runner], 8)
    shown = runner.open(artifact).run(random_feeds(graph, 2, 1))
    assert shown["index"].dtype == np.int32


@each_machine
def test_float_ends(runner: QemuRunner, tmp_path: Path) -> None:
    """With a floating-point unit (Clang uses it) and with software floats."""
    artifact = exported_with_floats(ports(), tmp_path)
    check(artifact, [host_c.RUNNER, *map(runner.built_by, COMPILERS)], 40, floats=1)


@pytest.mark.slow
def test_an_official_model(shared_path: Callable[[str], Path], tmp_path: Path) -> None:
    model = shared_path("models/mlperf_tiny/pretrainedResnet_quant.tflite")
    succeeds("export", model, "-o", tmp_path, "--name", "resnet", "--runners", "numpy",
             "--samples", 0, "--quiet")  # fmt: skip
    report = succeeds("verify", tmp_path, "--samples", 2, "--runners",
                      "tflm,qemu-mps2-an386,qemu-mps2-an505", "--json").json  # fmt: skip
    values = [r["values"] for r in report["runners"].values()]
    assert values == [values[0]] * 3
    assert values[0] > 0


@pytest.mark.slow
@each_compiler
@each_machine
def test_all_named_cases(runner: QemuRunner, compiler: str, tmp_path: Path) -> None:
    """All small cases of the operators' tables, an image for each operator."""
    for op in OPERATORS:
        cases = [replace(case, name=f"{op}{i}") for i, case in enumerate(named_cases(op))]
        if cases:
            directory = tmp_path / op
            check(exported(build(cases, op), directory), [runner.built_by(compiler)], 10)


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    ["mlperf_tiny/ad01_int8", "mlperf_tiny/kws_ref_model", "mlperf_tiny/vww_96_int8",
     "tflm/micro_speech__models__micro_speech_quantized", "tinymaix/mnist_resnet_q"],
)  # fmt: skip
def test_other_official_models(
    model: str, shared_path: Callable[[str], Path], tmp_path: Path
) -> None:
    path = shared_path(f"models/{model}.tflite")
    succeeds("export", path, "-o", tmp_path, "--runners", "numpy", "--samples", 0, "--quiet")
    report = succeeds("verify", tmp_path, "--samples", 10, "--json").json
    for name in NAMES:
        assert report["runners"][name]["values"] > 0


# --- what goes wrong --------------------------------------------------------------------------


def broken(directory: Path, statement: str) -> Artifact:
    """A network with a statement at the start of its run."""
    graph = small_int8()
    artifact = exported(graph, directory)
    source = directory / f"{graph.name}.c"
    head = "    int8_t *const memory = "
    text = source.read_text()
    assert text.count(head) == 1
    source.write_text(text.replace(head, f"    {statement}\n{head}"))
    return artifact


#: What is done, and what is said of it.
CRASHES = {
    "read beyond memory": (
        "(void)*(volatile int8_t *)0x60000000u;",
        "access of 0x60000000, which is no memory",
    ),
    "write to code": (
        "*((volatile int8_t *)0x{code:x}u + 64) = 1;",
        "which is no memory or is code that may not be written",
    ),
    "run data": ("((void (*)(void))((uintptr_t)arena | 1u))();", "code is run where there is none"),
    "undefined": ('__asm__ volatile(".short 0xde00");', "instruction that the core does not have"),
    "deep recursion": ("{name}_run(arena); *(volatile int8_t *)arena = 1;", "stack overflow"),
}


@pytest.mark.parametrize("crash", CRASHES)
@pytest.mark.parametrize("runner", [RUNNERS[0], RUNNERS[3]], ids=lambda runner: runner.name)
def test_a_crash_is_reported_in_one_line(runner: QemuRunner, crash: str, tmp_path: Path) -> None:
    statement, said = CRASHES[crash]
    name = small_int8().name
    statement = statement.format(code=runner.machine.memory.flash.start, name=name)
    artifact = broken(tmp_path, statement)
    with pytest.raises(QemuError) as caught:
        runner.open(artifact).run(random_feeds(artifact.graph, 1, 0))
    message = str(caught.value)
    assert "\n" not in message
    assert runner.machine.name in message
    assert said in message
    if crash not in ("run data", "deep recursion"):
        assert f"in {name}_run at 0x" in message


def test_a_crash_ends_the_command(tmp_path: Path) -> None:
    edgecnn.export(small_int8(), tmp_path, name="net", samples=0, runners="numpy")
    source = tmp_path / "net.c"
    head = "    int8_t *const memory = "
    statement = "    (void)*(volatile int8_t *)0xf0000000u;\n"
    source.write_text(source.read_text().replace(head, statement + head))
    line = fails(1, "verify", tmp_path, "--runners", "numpy,qemu-mps2-an386", "--quiet")
    assert re.search(r"mps2-an386 \(Cortex-M4\): access of 0xf0000000.* in net_run at 0x", line)


def test_a_network_that_does_not_end_is_stopped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    artifact = broken(tmp_path, "for (volatile int i = 0; i == 0;) {}")
    monkeypatch.setattr(qemu, "IDLE_SECONDS", 0.5)
    with pytest.raises(QemuError, match=r"no tensor was complete for 0\.5 seconds"):
        RUNNERS[0].open(artifact).run(random_feeds(artifact.graph, 1, 0))


def test_a_wrong_byte_is_found(tmp_path: Path) -> None:
    artifact = broken(tmp_path, f"{small_int8().name}_input(arena)[0] ^= 64;")
    report = verify(
        artifact, [numpy_simulator.RUNNER, RUNNERS[3]], random_feeds(artifact.graph, 20, 0)
    )
    assert not report.passed
    assert "qemu-mps2-an505 differs from numpy" in report.summary()


def test_missing_qemu_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    artifact = exported(small_int8(), tmp_path)
    monkeypatch.setenv("PATH", "")
    report = verify(
        artifact, [numpy_simulator.RUNNER, *RUNNERS], random_feeds(artifact.graph, 1, 0)
    )
    assert report.passed
    for result in report.runners[1:]:
        assert not result.available
        assert result.reason == "qemu-system-arm is not installed"


def test_missing_compiler_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    artifact = exported(small_int8(), tmp_path)
    monkeypatch.setattr(qemu.shutil, "which", lambda name: name if name == qemu.QEMU else None)
    assert RUNNERS[0].built_by("gcc").unavailable(artifact) == "arm-none-eabi-gcc is not installed"
    with pytest.raises(UserError, match="compiler 'icc' is unknown"):
        RUNNERS[0].built_by("icc")


def test_no_c_no_machine() -> None:
    artifact = Artifact(small_int8(), to_tflite(small_int8()))
    assert RUNNERS[0].unavailable(artifact) == "there is no generated C beside the model"


@each_compiler
def test_too_large_a_network_is_unavailable(compiler: str, tmp_path: Path) -> None:
    size = 3 << 20
    graph = build(
        [
            Case("a", "sigmoid", [Value((1, size))], output=(1 / 256, -128)),
            Case("b", "sigmoid", [Value((1, size))], output=(1 / 256, -128)),
        ],
        "large",
    )
    artifact = exported(graph, tmp_path)
    runner = RUNNERS[0].built_by(compiler)
    with pytest.raises(FitError, match=r"does not fit QEMU's mps2-an385: .* bytes too many"):
        runner.open(artifact)
    report = verify(artifact, [numpy_simulator.RUNNER, runner], random_feeds(graph, 1, 0))
    assert report.passed
    assert not report.runners[1].available
    assert "for its RAM of 4,194,304 bytes" in report.runners[1].reason
