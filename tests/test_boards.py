"""Board files, spans of memory, and the size of compiled code."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from edgecnn.errors import UserError
from edgecnn.ir import INT8, Graph, Node, QuantParams, Tensor
from firmware_export.boards import Region, all_boards, largest_span, load, parse, spans
from firmware_export.c_writer import Provenance, to_c
from firmware_export.code_size import code_size, estimate, read_only_bytes
from firmware_export.device.cores import CORES
from firmware_export.toolchain import zig_compiler
from tests.conftest import REPOSITORY

BOARD = """
name = "mine"
title = "My board"
core = "cortex-m33"
fpu = true
clock_hz = 150_000_000
source = "its data sheet"
[[flash]]
name = "flash"
start = 0x1000_0000
size = 65_536
wait_states = 3
accelerator = "cache"
[[ram]]
name = "a"
start = 0x2000_0000
size = 1_024
[[ram]]
name = "b"
start = 0x2000_0400
size = 2_048
[[ram]]
name = "far"
start = 0x3000_0000
size = 2_560
"""


#: Core, clock in MHz, wait states, and KB of the largest spans of flash and RAM.
BOARDS = {
    "arduino-nano-33-ble": ("cortex-m4", 64, 2, 960, 256),  # the bootloader has the first 64 KB
    "frdm-k64f": ("cortex-m4", 120, 4, 1024, 256),
    "microbit-v1": ("cortex-m0plus", 16, 0, 256, 16),
    "microbit-v2": ("cortex-m4", 64, 2, 512, 128),
    "mps2-an385": ("cortex-m3", 25, 0, 4096, 4096),
    "mps2-an386": ("cortex-m4", 25, 0, 4096, 4096),
    "mps2-an500": ("cortex-m7", 25, 0, 4096, 4096),
    "mps2-an505": ("cortex-m33", 20, 0, 4096, 4096),
    "nrf52840-dk": ("cortex-m4", 64, 2, 1024, 256),
    "nrf5340-dk": ("cortex-m33", 128, 5, 1024, 512),
    "nucleo-g0b1re": ("cortex-m0plus", 64, 2, 512, 144),
    "nucleo-h743zi": ("cortex-m7", 480, 9, 2048, 512),
    "nucleo-l4r5zi": ("cortex-m4", 120, 5, 2048, 640),
    "nucleo-u575zi-q": ("cortex-m33", 160, 4, 2048, 768),  # SRAM4 lies apart
    "raspberry-pi-pico": ("cortex-m0plus", 133, 39, 2048, 264),
    "raspberry-pi-pico-2": ("cortex-m33", 150, 39, 4096, 520),
    "stm32f407-discovery": ("cortex-m4", 168, 5, 1024, 128),  # its 64 KB of CCM lie apart
    "stm32f746g-discovery": ("cortex-m7", 216, 7, 1024, 320),
    "stm32vldiscovery": ("cortex-m3", 24, 0, 128, 8),
}


@pytest.mark.parametrize("name", BOARDS)
def test_the_facts_of_a_board(name: str) -> None:
    board = load(name)
    facts = (board.core, board.clock_hz / 1e6, board.wait_states)
    assert (*facts, board.flash_span / 1024, board.ram_span / 1024) == BOARDS[name]


def test_the_set_of_boards_is_sorted_and_covers_every_core() -> None:
    boards = all_boards()
    assert list(boards) == sorted(BOARDS)
    assert {board.core for board in boards.values()} == set(CORES)


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_is_consistent(name: str) -> None:
    board = load(name)
    assert board.name == name
    assert board.source
    assert board.fpu == (board.core in ("cortex-m4", "cortex-m7", "cortex-m33"))
    regions = (*board.flash, *board.ram)
    assert len({region.name for region in regions}) == len(regions)
    for region in regions:
        assert region.size % 1024 == 0
        assert region.start % 1024 == 0
    for first, second in itertools.pairwise(sorted(regions, key=lambda r: r.start)):
        assert first.end <= second.start
    for flash in board.flash:
        assert bool(flash.wait_states) == bool(flash.accelerator)
    assert largest_span(board.ram) in spans(board.ram)


def test_adjoining_regions_make_one_span() -> None:
    regions = [
        Region("d", 400, 60),
        Region("c", 300, 100, wait_states=2, accelerator="ART"),
        Region("a", 0, 100),
        Region("b", 100, 30, wait_states=1),
    ]
    assert spans(regions) == (
        Region("a and b", 0, 130, 1),
        Region("c and d", 300, 160, 2, "ART"),
    )
    assert largest_span(regions).name == "c and d"
    assert largest_span(regions[2:]).size == 130
    assert largest_span([regions[2], regions[0]]) == regions[2]
    assert spans([*regions[2:], Region("e", 130, 5)])[0].name == "a, b and e"
    assert spans([]) == ()


def test_a_board_of_the_users_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(BOARD)
    board = load(path)
    assert board == load(str(path))
    assert board.to_json()["ram_span"] == 3072
    assert board.uart == ""
    assert board.wait_states == 3
    assert board.flash[0].accelerator == "cache"


def test_the_board_file_in_the_readme_is_one() -> None:
    blocks = re.findall(r"```toml\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)
    board = parse(blocks[0], "README.md")
    assert (board.name, board.core, board.ram_span) == ("mine", "cortex-m33", 786_432)


def test_an_unknown_name_shows_the_near_ones_and_all() -> None:
    with pytest.raises(UserError, match=r"'frdm-k64'; did you mean frdm-k64f.*microbit-v2"):
        load("frdm-k64")
    with pytest.raises(UserError, match=r"no board is called 'qqq' \(boards: "):
        load("qqq")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "My board"', "", "field 'title' is missing"),
        ("fpu = true", "fpu = 1", "field 'fpu' is 1; it must be true or false"),
        ("clock_hz = 150_000_000", "clock_hz = true", "'clock_hz' is True; it must be an integer"),
        ("clock_hz = 150_000_000", "clock_hz = -1", "'clock_hz' is -1; it must be positive"),
        ("cortex-m33", "cortex-m35p", "'core' is 'cortex-m35p'.*did you mean cortex-m3"),
        ("cortex-m33", "cortex-m0", "it must be one of .*; did you mean cortex-m0plus"),
        ("cortex-m33", "riscv", r"'core' is 'riscv'; it must be one of .*cortex-m33$"),
        ("size = 2_048", "size = 0", r"'ram\[1\]\.size' is 0"),
        ("size = 2_048", "size = -4", r"'ram\[1\]\.size' is -4; it must be positive"),
        ("size = 2_048", 'size = "2K"', r"'ram\[1\]\.size' is '2K'; it must be an integer"),
        ("size = 2_048", "size = 2048.0", r"'ram\[1\]\.size' is 2048.0; it must be an integer"),
        ("start = 0x1000_0000", "start = -1", r"'flash\[0\]\.start' puts the region outside"),
        ("start = 0x2000_0400", "start = 0x2000_03FF", "lets 'b' overlap 'a'"),
        ("start = 0x3000_0000", "start = 0xFFFF_FFFF", "outside the 32-bit address space"),
        ("wait_states = 3", "", r"'flash\[0\]\.wait_states' is missing"),
        ("wait_states = 3", "wait_states = -1", "'.*wait_states' is -1; it must not be negative"),
        ("wait_states = 3", "wait_states = 1.5", "'.*wait_states' is 1.5; it must be an integer"),
        (
            "wait_states = 3",
            "waitstates = 3",
            "'.*waitstates' is unknown.*did you mean wait_states",
        ),
        ('"cache"', "7", r"'flash\[0\]\.accelerator' is 7; it must be a string"),
        ('name = "far"', 'name = "far"\nbanks = 2', r"'ram\[2\]\.banks' is unknown"),
        ('name = "far"', 'name = "far"\nwait_states = 0', r"'ram\[2\]\.wait_states' is unknown"),
        ("clock_hz", "clock", "'clock' is unknown; .*; did you mean clock_hz"),
        ("[[flash]]", "[flash]", "'flash' is .* it must be a list"),
        ("[[flash]]", "flash = [1]\n[[other]]", "'other' is unknown"),
        ('name = "mine"', 'name = ""', "'name' is empty"),
        ('name = "mine"', "name = ", "mine.toml is not TOML"),
        (BOARD, "", "mine.toml is empty"),
        (BOARD, "# nothing yet", "mine.toml is empty"),
        (BOARD, "a = " + "[" * 9999, "mine.toml is not TOML"),
    ],
)
def test_a_wrong_file_is_refused_by_its_field(old: str, new: str, message: str) -> None:
    assert old in BOARD
    with pytest.raises(UserError, match=message) as caught:
        parse(BOARD.replace(old, new, 1), "mine.toml")
    assert "mine.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        load(tmp_path / "absent.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="cannot be read"):
        load(binary)


def small_network() -> Graph:
    quant = QuantParams.per_tensor(0.1, 0)
    tensors = {
        "x": Tensor("x", (1, 8), INT8, None, quant),
        "y": Tensor("y", (1, 8), INT8, None, quant),
    }
    nodes = (Node("relu", ("x",), ("y",)),)
    return Graph("small", nodes, tensors, ("x",), ("y",))


@pytest.mark.skipif(zig_compiler() is None, reason="package ziglang is not installed")
@pytest.mark.parametrize("core", ["cortex-m0plus", "cortex-m4"])
def test_compiled_code_is_smaller_than_the_estimate(tmp_path: Path, core: str) -> None:
    network = to_c(small_network(), "small", Provenance("", "", ""))
    for file, text in network.files.items():
        (tmp_path / file).write_text(text)
    size = code_size(tmp_path, "small", network, core)
    assert size.compiled
    assert 40 < size.bytes < estimate(network)


def test_code_that_does_not_compile_is_estimated(tmp_path: Path) -> None:
    network = to_c(small_network(), "small", Provenance("", "", ""))
    size = code_size(tmp_path, "small", network, "cortex-m4")  # no file is there
    assert not size.compiled
    assert size.bytes == estimate(network)
    assert size.how == "estimated"


def test_a_foreign_object_file_is_refused() -> None:
    with pytest.raises(ValueError, match="32-bit"):
        read_only_bytes(b"\x7fELF\x02\x01" + bytes(60))


def test_an_object_file_that_is_cut_off_is_refused() -> None:
    with pytest.raises(ValueError, match="ELF file that can be read"):
        read_only_bytes(b"\x7fELF\x01\x01")
