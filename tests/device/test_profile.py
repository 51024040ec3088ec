from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgecnn
from edgecnn.errors import UserError
from edgecnn.parity import random_feeds
from edgecnn.simulator import run_int
from firmware_export.boards import load
from firmware_export.device.build import build, unavailable
from firmware_export.device.cores import CORES
from firmware_export.device.memory import ROOMY
from firmware_export.device.network import EmulatedNetwork
from firmware_export.device.profile import profile
from firmware_export.device.target import Target, choose
from tests.command_line import fails, succeeds
from tests.device.exports import small_export, small_graph

LEAST = {
    "cpu", "compiler", "cycles", "instructions", "arena_bytes", "stack_bytes", "code_bytes",
    "weight_bytes", "layers",
}  # fmt: skip
LEAST_OF_LAYER = {"index", "name", "op", "macs", "cycles", "instructions"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("profile") / "out"
    edgecnn.export(small_graph(), folder, name="small", runners="numpy", samples=1)
    return folder


def check_consistent(found: dict[str, Any]) -> None:
    assert found.keys() >= LEAST
    assert all(layer.keys() >= LEAST_OF_LAYER for layer in found["layers"])
    for what in ("cycles", "instructions", "macs"):
        assert found[what] == sum(layer[what] for layer in found["layers"]) > 0
    assert found["layers"][0]["op"] in ("conv2d", "conv2d + max_pool2d")
    assert found["arena_bytes"] > 0
    assert 0 < found["stack_bytes"] < 2048
    assert 500 < found["code_bytes"] < 20_000


@pytest.mark.parametrize("cpu", CORES)
def test_every_core(folder: Path, cpu: str) -> None:
    found = succeeds("profile", folder, "--cpu", cpu, "--json").json
    check_consistent(found)
    assert (found["cpu"], found["compiler"]) == (cpu, "clang")
    assert found["cycles_are_estimated"] == (cpu in ("cortex-m7", "cortex-m33"))
    assert found["milliseconds"] is None


def test_the_same_to_the_last_digit(folder: Path) -> None:
    first, second = (succeeds("profile", folder, "--json").json for _ in range(2))
    assert first == second


@pytest.mark.skipif(unavailable("gcc") is not None, reason="arm-none-eabi-gcc is not installed")
def test_with_gcc(folder: Path) -> None:
    found = succeeds("profile", folder, "--compiler", "gcc", "--json").json
    check_consistent(found)
    assert found["compiler"] == "gcc"


def test_a_board_gives_milliseconds(folder: Path) -> None:
    found = succeeds("profile", folder, "--board", "frdm-k64f", "--json").json
    time = found["milliseconds"]
    assert time["clock_hz"] == 120_000_000
    assert time["fastest"] == pytest.approx(found["cycles"] / 120_000)
    flash = sum(layer["flash_reads"] for layer in found["layers"])
    words = (flash + 3 * found["instructions"]) // 4
    waits = load("frdm-k64f").wait_states
    assert time["slowest"] == pytest.approx((found["cycles"] + words * waits) / 120_000)


def test_sizes_are_those_of_the_export(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    found = succeeds("profile", folder, "--json").json
    assert found["arena_bytes"] == manifest["arena_bytes"]
    assert found["weight_bytes"] == manifest["weight_bytes"]


def test_words(folder: Path) -> None:
    text = succeeds("profile", folder, "--cpu", "cortex-m7", "--board", "nucleo-h743zi").out
    for part in ("One inference on cortex-m7 (estimated), clang", "MAC/cycle", "stack", "480 MHz"):
        assert part in text


def test_a_profile_can_be_taken_of_code_that_was_not_exported(tmp_path: Path) -> None:
    artifact = small_export(tmp_path)
    found = profile(artifact, Target(CORES["cortex-m3"]), weight_bytes=0)
    assert found.total.cycles > 0
    assert found.code_bytes > 1000


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--cpu", "avr"], "core 'avr' is unknown"),
        (["--board", "nucleo"], "no board is called 'nucleo'"),
        (["--cpu", "cortex-m3", "--board", "frdm-k64f"], "frdm-k64f has a cortex-m4"),
        (["--compiler", "msvc"], "compiler 'msvc' is unknown"),
        (["--elf", "x.elf", "--function", "f"], "either an exported folder or --elf"),
    ],
)
def test_wrong_calls(folder: Path, arguments: list[str], reason: str) -> None:
    assert reason in fails(2, "profile", folder, *arguments)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "either an exported folder or --elf"),
        (["."], "holds no export"),
        (["--elf", "x.elf"], "go together"),
        (["--elf", "x.elf", "--function", "f"], "x.elf does not exist"),
        (["--elf", "x.elf", "--function", "f", "--compiler", "gcc"], "compiled already"),
    ],
)
def test_wrong_calls_without_a_folder(
    arguments: list[str], reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert reason in fails(2, "profile", *arguments)


@pytest.mark.parametrize("cpu", CORES)
@pytest.mark.parametrize("compiler", ["clang", "gcc"])
def test_counting_does_not_change_what_is_computed(cpu: str, compiler: str, tmp_path: Path) -> None:
    """Unicorn's hooks of memory confuse the conditions of instructions behind an IT block."""
    if unavailable(compiler) is not None:
        pytest.skip(f"{compiler} is not there: {unavailable(compiler)}")
    artifact, core = small_export(tmp_path), CORES[cpu]
    program = build(artifact, core, compiler=compiler)
    feeds = random_feeds(artifact.graph, 1, 0, extremes=False)
    sample = {name: x[0] for name, x in feeds.items()}
    wanted = {name: x[0] for name, x in run_int(artifact.graph, feeds).items()}
    plain = EmulatedNetwork(artifact, program, core, ROOMY).trace(sample)
    counted = EmulatedNetwork(artifact, program, core, ROOMY)
    watched = counted.trace(sample, counted.counter().call)
    for name in artifact.graph.activations():
        np.testing.assert_array_equal(plain[name], wanted[name])
        np.testing.assert_array_equal(watched[name], wanted[name])


def test_choosing() -> None:
    assert choose(None, None).core.name == "cortex-m4"
    assert choose(None, "raspberry-pi-pico").core.name == "cortex-m0plus"
    with pytest.raises(UserError, match="leave --cpu out"):
        choose("cortex-m7", "raspberry-pi-pico")
