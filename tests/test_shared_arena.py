"""Several networks in one firmware: they take turns in one arena, and give the bytes of each."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

import edgecnn
from edgecnn import several
from edgecnn.errors import UserError
from edgecnn.ir import Array, Graph
from edgecnn.parity import random_feeds
from edgecnn.simulator import run_int
from firmware_export.fit import STACK_ALLOWANCE_BYTES, STARTUP_ALLOWANCE_BYTES
from firmware_export.shared_arena import HEADER, Network, export_together
from firmware_export.tflite_writer import to_tflite
from firmware_export.toolchain import STRICT_FLAGS, host_compiler
from tests.command_line import (
    contents,
    fails,
    small_int8,
    small_pt2,
    small_tflite,
    succeeds,
    two_inputs,
    write,
    write_images,
)
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.xdist_group("cli")
QUICK = ("--samples", 0, "--runners", "numpy,host-c")


def pair_int8() -> Graph:
    """A network with two inputs and two outputs, whose arena is another one."""
    graph = edgecnn.load(two_inputs(), (torch.zeros(1, 1, 6, 6), torch.zeros(1, 2, 4, 4)))
    rng = np.random.default_rng(3)
    data = {"a": rng.normal(size=(20, 1, 6, 6)), "b": rng.normal(size=(20, 2, 4, 4))}
    return edgecnn.quantize(graph, data)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with an int8 and a float model, and data."""
    write(tmp_path / "pair.tflite", to_tflite(pair_int8(), "test"))
    write(tmp_path / "small.pt2", small_pt2())
    write(tmp_path / "small.tflite", small_tflite())
    write_images(tmp_path / "images.npy")
    write_images(tmp_path / "labelled.npz", labels=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


# --- one firmware -----------------------------------------------------------------------------


def initializer(array: Array) -> str:
    return "{" + ", ".join(str(int(v)) for v in array.reshape(-1)) + "}"


def turn(graph: Graph, feeds: dict[str, Array]) -> str:
    """C that fills in a network's inputs, runs it and compares all of its outputs."""
    values = run_int(graph, feeds)
    name, lines = graph.name, ["{"]
    for kind, ports in (("input", graph.inputs), ("output", graph.outputs)):
        for i, port in enumerate(ports):
            suffix = f"_{i}" if len(ports) > 1 else ""
            array = feeds[port] if kind == "input" else values[port]
            lines.append(f"static const int8_t {kind}{i}[] = {initializer(array)};")
            if kind == "input":
                lines.append(f"memcpy({name}_input{suffix}(arena), input{i}, sizeof input{i});")
        if kind == "input":
            lines.append(f"if ({name}_run(arena) != 0) return 1;")
            continue
        for i in range(len(ports)):
            suffix = f"_{i}" if len(ports) > 1 else ""
            got = f"{name}_output{suffix}(arena)"
            lines.append(f"if (memcmp({got}, output{i}, sizeof output{i}) != 0) return 2;")
    return "\n    ".join([*lines, "}"])


def firmware(turns: Sequence[str]) -> str:
    """A program that runs networks in turn in one arena with guard bytes around it."""
    return f"""#include <string.h>
#include "shared_arena.h"

static struct {{
    int8_t before[64];
    int8_t arena[EDGECNN_SHARED_ARENA_SIZE]
        __attribute__((aligned(EDGECNN_SHARED_ARENA_ALIGNMENT)));
    int8_t after[64];
}} ram;

int main(void) {{
    int8_t *const arena = ram.arena;
    memset(&ram, 0x5a, sizeof ram);
    {"".join(turns)}
    for (int i = 0; i < 64; ++i) {{
        if (ram.before[i] != 0x5a || ram.after[i] != 0x5a) return 3;
    }}
    return 0;
}}
"""


def build(folder: Path, source: str, *flags: str) -> subprocess.CompletedProcess[str]:
    """Compile a program with the networks that lie in subfolders."""
    write(folder / "main.c", source.encode())
    sources = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.c"))
    command = [*host_compiler(), *STRICT_FLAGS, "-O1", *flags, *sources, "-o", "firmware"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def turns_of(graphs: Sequence[Graph], rounds: int) -> list[str]:
    return [
        turn(graph, {name: values[seed] for name, values in feeds.items()})
        for seed in range(rounds)
        for graph in graphs
        for feeds in [random_feeds(graph, rounds, 7)]
    ]


def test_networks_take_turns_in_one_arena(tmp_path: Path) -> None:
    """Two networks, three rounds, every output byte as of each alone, no byte beside the arena."""
    graphs = [small_int8().replace(name="small"), pair_int8().replace(name="pair")]
    networks = [Network(graph) for graph in graphs]
    result = export_together(networks, tmp_path / "out", samples=0, runners="numpy")
    arenas = [network.memory.arena_bytes for network in result.networks]
    assert result.arena_bytes == max(arenas) > min(arenas)
    built = build(tmp_path / "out", firmware(turns_of(graphs, 3)))
    assert built.returncode == 0, built.stderr
    assert subprocess.run([tmp_path / "out" / "firmware"], check=False).returncode == 0


def test_an_arena_that_is_too_small_is_noticed(tmp_path: Path) -> None:
    """The guard bytes of the test above do their work."""
    graphs = [small_int8().replace(name="small"), pair_int8().replace(name="pair")]
    export_together(
        [Network(graph) for graph in graphs], tmp_path / "out", samples=0, runners="numpy"
    )
    smaller = firmware(turns_of(graphs, 1)).replace(
        "arena[EDGECNN_SHARED_ARENA_SIZE]", "arena[PAIR_ARENA_SIZE]"
    )
    assert build(tmp_path / "out", smaller).returncode == 0
    assert subprocess.run([tmp_path / "out" / "firmware"], check=False).returncode != 0


def test_the_header_follows_a_network_that_is_exported_anew(tmp_path: Path) -> None:
    graphs = [small_int8().replace(name="small"), pair_int8().replace(name="pair")]
    export_together(
        [Network(graph) for graph in graphs], tmp_path / "out", samples=0, runners="numpy"
    )
    for header, bytes_ in (("pair", 123456), ("small", 654321)):
        path = tmp_path / "out" / header / f"{header}.h"
        lines = path.read_text().splitlines()
        define = f"#define {header.upper()}_ARENA_SIZE "
        changed = [f"{define}{bytes_}u" if line.startswith(define) else line for line in lines]
        assert changed != lines
        path.write_text("\n".join(changed) + "\n")
        check = f"int size[EDGECNN_SHARED_ARENA_SIZE == {bytes_} ? 1 : -1];\n"
        write(tmp_path / "out" / "check.c", f'#include "{HEADER}"\n{check}'.encode())
        command = [*host_compiler(), *STRICT_FLAGS, "-c", "check.c", "-o", "check.o"]
        subprocess.run(command, cwd=tmp_path / "out", check=True)


# --- the command line -------------------------------------------------------------------------


def test_each_network_is_an_export_of_its_own(here: Path) -> None:
    result = succeeds(
        "export", "pair.tflite", "small.pt2", "--shared-arena", "-o", "out", "--json",
        "--calibration", "images.npy", "--board", "frdm-k64f", *QUICK,
    ).json  # fmt: skip
    assert [network["name"] for network in result["networks"]] == ["pair", "small"]
    assert {path.name for path in (here / "out").iterdir()} == {"pair", "small", HEADER}
    arenas, weights = (
        [network[key] for network in result["networks"]] for key in ("arena_bytes", "weight_bytes")
    )
    assert result["shared_arena_bytes"] == max(arenas)
    assert result["weight_bytes"] == sum(weights)
    for network in result["networks"]:
        folder = here / "out" / network["name"]
        assert sorted(network["files"]) == sorted(contents(folder))
        assert network["verify"]["passed"]
        assert succeeds("verify", folder, "--samples", 1, "--runners", "numpy,host-c", "--json")
        facts = json.loads((folder / "manifest.json").read_text())
        assert facts["command"] == (
            "edgecnn export pair.tflite small.pt2 --calibration images.npy --board frdm-k64f "
            "--optimize balanced --calibration-method auto --shared-arena"
        )
    code = sum(network["fit"]["flash"]["parts"]["code"] for network in result["networks"])
    assert result["fit"]["flash"]["parts"] == {
        "weights": sum(weights), "code": code, "start-up": STARTUP_ALLOWANCE_BYTES,
    }  # fmt: skip
    assert result["fit"]["ram"]["parts"] == {"arena": max(arenas), "stack": STACK_ALLOWANCE_BYTES}


def test_a_network_among_others_has_the_files_that_it_has_alone(here: Path) -> None:
    """But for the command in their heads."""
    together = ("pair.tflite", "small.tflite", "--shared-arena")
    succeeds("export", *together, "-o", "out", *QUICK)
    alone = small_int8().replace(name="small")
    facts = json.loads((here / "out" / "small" / "manifest.json").read_text())
    edgecnn.export(
        alone, here / "alone", samples=0, runners="numpy,host-c", command=facts["command"]
    )
    mine, its = contents(here / "alone"), contents(here / "out" / "small")
    assert mine["small.tflite"] == its["small.tflite"]
    assert mine.keys() == its.keys()


@pytest.mark.slow
def test_options_for_each_model(here: Path) -> None:
    """Names and data in the order of the models; calibration in that of the float ones."""
    shutil.copy(here / "small.pt2", here / "other.pt2")
    shifted = np.load(here / "images.npy") * np.float32(9)
    np.save(here / "large.npy", shifted)
    result = succeeds(
        "export", "small.pt2", "small.tflite", "other.pt2", "--shared-arena", "-o", "out",
        "--calibration", "images.npy", "--calibration", "large.npy", "--name", "first",
        "--name", "second", "--name", "third", "--json", *QUICK,
    ).json  # fmt: skip
    assert [network["name"] for network in result["networks"]] == ["first", "second", "third"]
    first, _, third = (
        json.loads((here / "out" / name / "manifest.json").read_text())["tensors"][0]["scale"]
        for name in ("first", "second", "third")
    )
    assert third > 5 * first


BOARD = """
name = "mine"
title = "Mine"
core = "cortex-m4"
fpu = true
clock_hz = 120_000_000
source = "none"
[[flash]]
name = "flash"
start = 0
size = {}
wait_states = 0
[[ram]]
name = "ram"
start = 0x2000_0000
size = 0x4000
"""


@pytest.mark.slow
def test_networks_that_fit_alone_but_not_together(here: Path) -> None:
    """Status 1, in words, after all is written."""
    call = ("export", "pair.tflite", "small.tflite", "--shared-arena", "-o", "out", *QUICK)
    fit = succeeds(*call, "--board", "frdm-k64f", "--json").json["fit"]
    used, page = fit["flash"]["used"], 4096  # what the emulator has memory in
    enough = -(-used // page) * page
    write(here / "mine.toml", BOARD.format(enough).encode())
    succeeds(*call, "--board", "mine.toml")
    write(here / "mine.toml", BOARD.format(enough - page).encode())
    line = fails(1, *call, "--quiet", "--board", "mine.toml")
    assert line.startswith("the firmware of pair, small does not fit mine: RAM ")
    assert f"{used - enough + page:,} missing" in line
    assert "smallest known board" in line
    for name in ("pair", "small"):
        assert "the network fits" in (here / "out" / name / "report.html").read_text()
    assert (here / "out" / HEADER).is_file()


def test_what_is_printed(here: Path) -> None:
    out = succeeds(
        "export", "pair.tflite", "small.tflite", "--shared-arena", "-o", "out",
        "--board", "frdm-k64f", *QUICK,
    ).out  # fmt: skip
    assert "One arena for all" in out
    assert "frdm-k64f: the networks fit together" in out


SHARED = ["--shared-arena", "-o", "out"]
REFUSED = {
    "no option": (["-o", "out"], "2 models (pair.tflite, small.pt2): several are exported"),
    "a calibration too many": (
        [*SHARED, "--calibration", "images.npy", "--calibration", "images.npy"],
        "--calibration is given 2 times; it goes once with each float model, in their order: "
        "small.pt2",
    ),
    "no calibration": (SHARED, "small.pt2 is a float model: it needs --calibration"),
    "data for one": (
        [*SHARED, "--calibration", "images.npy", "--data", "labelled.npz"],
        "--data is given once; it goes once with each model, in their order: pair.tflite, small",
    ),
    "a name for one": ([*SHARED, "--name", "a"], "--name is given once; it goes once with each"),
    "one name": (
        [*SHARED, "--calibration", "images.npy", "--name", "Net", "--name", "net"],
        "two of the networks are 'Net' and 'net' in C: give --name once for each",
    ),
    "a shape": ([*SHARED, "--input-shape", "1,8"], "--input-shape says how one model is read"),
    "weights": ([*SHARED, "--weights", "w.pt"], "--weights says how one model is read"),
    "a model twice": (["pair.tflite", *SHARED], "pair.tflite is given twice"),
}


def tree(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize("case", REFUSED)
def test_calls(case: str, here: Path) -> None:
    arguments, expected = REFUSED[case]
    before = tree(here)
    line = fails(2, "export", "pair.tflite", "small.pt2", *arguments)
    assert line.startswith(expected)
    assert tree(here) == before


def test_two_values_for_one_model(here: Path) -> None:
    line = fails(2, "export", "small.tflite", "-o", "out", "--name", "a", "--name", "b")
    assert "--name is given 2 times" in line


def test_no_value_says_nothing_of_any_model() -> None:
    assert several.for_each("--data", None, ["a", "b"]) == {"a": None, "b": None}
    assert several.for_each("--data", [1, 2], ["a", "b"]) == {"a": 1, "b": 2}
    with pytest.raises(UserError, match="no float model"):
        several.for_each("--calibration", [1], [], "float model")


# --- whole or not at all ----------------------------------------------------------------------


@pytest.mark.parametrize("output", ["out", "new/deep/out", "there"])
def test_a_second_network_that_fails_leaves_nothing(output: str, here: Path) -> None:
    """That a class does not exist is only seen once all is written and verified."""
    (here / "there").mkdir()
    images = np.load(here / "images.npy")
    np.savez("late.npz", x=images, y=[99] * len(images))
    shutil.copy("small.pt2", "second.pt2")
    before = tree(here)
    line = fails(
        2, "export", "small.pt2", "second.pt2", "-o", output, "--shared-arena",
        "--calibration", "images.npy", "--calibration", "images.npy", "--data", "labelled.npz",
        "--data", "late.npz", *QUICK,
    )  # fmt: skip
    assert "label 99" in line
    assert tree(here) == before


def test_a_second_export_replaces_the_first_and_leaves_other_files(here: Path) -> None:
    call = ("export", "pair.tflite", "small.tflite", "--shared-arena", "-o", "out", *QUICK)
    succeeds(*call)
    before = tree(here / "out")
    write(here / "out" / "small" / "notes.txt", b"mine")
    stale = here / "out" / "small" / "edgecnn_old.h"
    write(stale, b"old")
    manifest = here / "out" / "small" / "manifest.json"
    facts = json.loads(manifest.read_text())
    facts["files"]["edgecnn_old.h"] = {}
    manifest.write_text(json.dumps(facts))
    succeeds(*call)
    assert tree(here / "out") == before | {"small/notes.txt"}


@pytest.mark.parametrize(("place", "kind"), [("small", "file"), (HEADER, "folder")])
def test_places_that_are_taken(place: str, kind: str, here: Path) -> None:
    (here / "out").mkdir()
    taken = here / "out" / place
    taken.mkdir() if kind == "folder" else taken.write_text("mine")
    before = tree(here)
    line = fails(2, "export", "pair.tflite", "small.tflite", "--shared-arena", "-o", "out", *QUICK)
    assert line == f"output folder out has a {kind} called {place}"
    assert tree(here) == before


def test_every_line_of_the_header_is_deterministic(here: Path) -> None:
    for output in ("a", "b"):
        succeeds("export", "pair.tflite", "small.tflite", "--shared-arena", "-o", output, *QUICK)
    assert (here / "a" / HEADER).read_bytes() == (here / "b" / HEADER).read_bytes()
    assert tree(here / "a") == tree(here / "b")
    assert str(REPOSITORY) not in (here / "a" / HEADER).read_text()
