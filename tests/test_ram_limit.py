"""RAM that is limited: by an option, by the board, and by what the least of it may cost."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgecnn.errors import FitError
from edgecnn.loading import load_path
from firmware_export import boards
from firmware_export.chooser import OPTIMIZE, Choice, choose_kernels
from firmware_export.chooser.curve import MOST_CYCLES, Point, pick
from firmware_export.chooser.selection import Selection
from firmware_export.device.target import Target, choose
from firmware_export.fit import STACK_ALLOWANCE_BYTES
from firmware_export.tflite_writer import to_tflite
from tests.command_line import contents, edgecnn_command, fails, succeeds, write
from tests.streaming.networks import residual_network

M4 = choose("cortex-m4", None)
#: Kernels take 2,656 bytes of the arena for the whole images of `residual_network`.
LIMIT = 1000


# --- the choice between points ----------------------------------------------------------------


def points(*sizes: tuple[int, int]) -> list[Point]:
    """Points of some bytes of arena and cycles."""
    return [Point(arena, cycles, Selection()) for arena, cycles in sizes]


CURVE = points((100, 200), (200, 131), (300, 130), (400, 100))


@pytest.mark.parametrize(
    ("limit", "arena"), [(None, 400), (1000, 400), (400, 400), (399, 300), (200, 200), (100, 100)]
)
def test_the_fastest_within_a_limit(limit: int | None, arena: int) -> None:
    assert pick(CURVE, limit, least_ram=False).arena_bytes == arena


@pytest.mark.parametrize(
    ("limit", "arena"),
    [
        (None, 300),  # for 1.3 times the cycles, not more
        (399, 200),  # 130 are the fewest there, so that 169 may be had,
        (299, 100),  # and 131 here
    ],
)
def test_the_least_ram_for_some_more_cycles(limit: int | None, arena: int) -> None:
    found = points((100, 170), *((p.arena_bytes, p.cycles) for p in CURVE[1:]))
    assert MOST_CYCLES == 1.3
    assert pick(found, limit, least_ram=True).arena_bytes == arena


@pytest.mark.parametrize("least_ram", [False, True])
def test_a_limit_that_no_point_is_within(least_ram: bool) -> None:
    with pytest.raises(FitError, match=r"--ram-limit 99: .* has 100 bytes"):
        pick(CURVE, 99, least_ram=least_ram)


# --- what is chosen ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chosen() -> dict[str, Choice]:
    """Of a small network, for each goal."""
    graph = residual_network()
    return {optimize: choose_kernels(graph, M4, optimize) for optimize in OPTIMIZE}


def cycles_of(choice: Choice) -> int:
    """Those of the trials."""
    streamed = 0 if choice.streamed is None else choice.streamed.cycles
    return streamed + choice.selection.cycles


def test_memory_weighs_all_there_is(chosen: dict[str, Choice]) -> None:
    """The fastest is on the curve, and what is taken costs 1.3 times its cycles at most."""
    curve = chosen["memory"].curve
    fastest = min(point.cycles for point in curve)
    assert fastest == cycles_of(chosen["balanced"])
    taken = cycles_of(chosen["memory"])
    assert taken <= 1.3 * fastest
    cheap = [p.arena_bytes for p in curve if p.cycles <= 1.3 * fastest]
    assert chosen["memory"].selection.arena_bytes <= min(cheap)
    assert min(cheap) < chosen["balanced"].selection.arena_bytes


def test_a_curve_has_no_point_that_another_is_better_than(chosen: dict[str, Choice]) -> None:
    curve = chosen["memory"].curve
    arenas, cycles = [p.arena_bytes for p in curve], [p.cycles for p in curve]
    assert arenas == sorted(set(arenas))
    assert cycles == sorted(set(cycles), reverse=True)


def test_nothing_is_weighed_without_need(chosen: dict[str, Choice]) -> None:
    for optimize in ("speed", "balanced"):
        assert (chosen[optimize].curve, chosen[optimize].streamed) == ((), None)


@pytest.mark.parametrize("optimize", OPTIMIZE)
def test_each_limit_is_kept(optimize: str, chosen: dict[str, Choice]) -> None:
    """Down to the smallest arena there is; the larger it may be the fewer are the cycles."""
    graph, sizes = residual_network(), [p.arena_bytes for p in chosen["memory"].curve]
    found = [
        choose_kernels(graph, M4, optimize, ram_limit=limit)
        for limit in (sizes[0], sizes[2], sizes[-1], 10 * sizes[-1])
    ]
    for choice, limit in zip(found, (sizes[0], sizes[2], sizes[-1]), strict=False):
        assert choice.selection.arena_bytes <= limit
    if optimize != "memory":
        cycles = [cycles_of(choice) for choice in found]
        assert cycles == sorted(cycles, reverse=True)
        assert cycles[-1] == cycles_of(chosen[optimize])
    with pytest.raises(FitError, match=f"has {sizes[0]:,} bytes"):
        choose_kernels(graph, M4, optimize, ram_limit=sizes[0] - 1)


def small_board(ram: int) -> boards.Board:
    """A board with so many bytes for the arena."""
    board = boards.load("frdm-k64f")
    region = replace(board.ram[0], size=ram + STACK_ALLOWANCE_BYTES)
    return replace(board, name="small", ram=(region,))


def test_a_board_gets_bands_where_only_they_fit(chosen: dict[str, Choice]) -> None:
    graph = residual_network()
    whole = chosen["balanced"].selection.arena_bytes
    other = whole - 4  # other kernels fit there
    for ram, is_streamed in ((whole, False), (other, False), (LIMIT, True)):
        target = Target(M4.core, small_board(ram))
        choice = choose_kernels(graph, target, "balanced")
        assert (choice.streamed is not None) == is_streamed
        assert choice.selection.arena_bytes <= ram


def test_a_board_that_nothing_fits_gets_the_least(chosen: dict[str, Choice]) -> None:
    """`export` then says by how much it does not fit."""
    choice = choose_kernels(residual_network(), Target(M4.core, small_board(10)), "balanced")
    assert choice.selection.arena_bytes == chosen["memory"].curve[0].arena_bytes


# --- the command line -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tflite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("model") / "net.tflite", to_tflite(residual_network()))


QUICK = ("--samples", 0, "--runners", "numpy,host-c")


@pytest.fixture(scope="module")
def limited(tflite: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose network has its first layers in bands of rows."""
    out = tmp_path_factory.mktemp("limited") / "out"
    call = ("export", tflite, "-o", out, "--ram-limit", LIMIT, "--optimize", "speed", *QUICK)
    result = succeeds(*call, "--json").json
    assert result["arena_bytes"] <= LIMIT
    assert len(result["bands"]) > 1
    return out


def test_an_unreachable_limit_ends_with_1(tflite: Path, tmp_path: Path) -> None:
    for call in (("export", tflite, "-o", tmp_path / "out", *QUICK), ("analyze", tflite)):
        line = fails(1, *call, "--ram-limit", 10, "--quiet")
        (least,) = re.findall(r"smallest arena that was found has (\d+) bytes", line)
        assert 10 < int(least) < LIMIT
    assert list(tmp_path.iterdir()) == []


def test_the_least_size_that_is_named_can_be_had(tflite: Path) -> None:
    line = fails(1, "analyze", tflite, "--ram-limit", 1, "--quiet")
    (least,) = re.findall(r"has (\d+) bytes", line)
    found = succeeds("analyze", tflite, "--ram-limit", least, "--json").json
    assert found["arena_bytes"] <= int(least)


@pytest.mark.parametrize("limit", ["0", "-1", "abc", "1.5", ""])
@pytest.mark.parametrize("command", ["export", "analyze"])
def test_a_limit_that_is_none_ends_with_2(
    command: str, limit: str, tflite: Path, tmp_path: Path
) -> None:
    where = ("-o", tmp_path / "out") if command == "export" else ()
    assert "--ram-limit" in fails(2, command, tflite, *where, "--ram-limit", limit)
    assert list(tmp_path.iterdir()) == []


def test_an_export_in_bands_is_verified_and_profiled_from_its_folder(limited: Path) -> None:
    runners = ("--runners", "tflm,host-c,cortex-m4")
    report = succeeds("verify", limited, *runners, "--samples", 2, "--json").json
    assert report["passed"]
    assert {r for r, found in report["runners"].items() if found["values"]} >= {
        "host-c",
        "cortex-m4",
    }
    found = succeeds("profile", limited, "--cpu", "cortex-m4", "--json").json
    assert found["arena_bytes"] <= LIMIT
    assert found["cycles"] > 0


def test_an_export_in_bands_is_evaluated_from_its_folder(limited: Path, tmp_path: Path) -> None:
    graph = load_path(limited / "net.tflite")
    shape = graph.tensors[graph.inputs[0]].shape[1:]
    x = np.random.default_rng(0).integers(-128, 128, (6, *shape)).astype(np.int8)
    np.savez(tmp_path / "data.npz", x=x, y=np.zeros(6, np.int64))
    call = ("--data", tmp_path / "data.npz", "--json")
    ours = succeeds("evaluate", limited, *call).json
    assert ours == succeeds("evaluate", limited / "net.tflite", *call).json


def test_two_limited_exports_are_the_same_bytes(
    limited: Path, tflite: Path, tmp_path: Path
) -> None:
    options = ("--ram-limit", LIMIT, "--optimize", "speed")
    succeeds("export", tflite, "-o", tmp_path / "again", *options, *QUICK)
    assert contents(limited) == contents(tmp_path / "again")


def test_a_board_that_only_bands_fit_is_fitted(tflite: Path, tmp_path: Path) -> None:
    """By itself: no option says so."""
    ram = LIMIT + STACK_ALLOWANCE_BYTES
    board = tmp_path / "small.toml"
    text = (Path(boards.__file__).parent / "frdm-k64f.toml").read_text()
    text = text[: text.rindex("[[ram]]")].replace("65_536", str(ram))
    board.write_text(text.replace('name = "frdm-k64f"', 'name = "small"'))
    outcome = edgecnn_command(
        "export", tflite, "-o", tmp_path / "out", "--board", board, *QUICK, "--json"
    )
    assert outcome.status == 0, outcome.err
    assert outcome.json["arena_bytes"] <= LIMIT
    assert outcome.json["bands"]
    assert outcome.json["fit"]["fits"]
