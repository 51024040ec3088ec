"""Board files, the rule of fit, and the size of compiled code."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgecnn.errors import UserError
from edgecnn.ir import INT8, Graph, Node, QuantParams, Tensor
from firmware_export.boards import (
    CORES,
    STACK_ALLOWANCE_BYTES,
    STARTUP_ALLOWANCE_BYTES,
    Region,
    all_boards,
    fit,
    largest_span,
    load,
    parse,
)
from firmware_export.c_writer import Provenance, to_c
from firmware_export.code_size import code_size, estimate, read_only_bytes
from firmware_export.toolchain import zig_compiler

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


def test_every_board_is_named_after_its_file_and_says_its_source() -> None:
    boards = all_boards()
    assert list(boards) == sorted(boards)
    assert len(boards) >= 10
    for name, board in boards.items():
        assert board.name == name
        assert load(name) == board
        assert board.core in CORES
        assert board.source


@pytest.mark.parametrize(
    ("name", "span", "flash"),
    [
        ("frdm-k64f", 256, 1024),
        ("nucleo-l4r5zi", 640, 2048),
        ("stm32f407-discovery", 128, 1024),  # its 64 KB of CCM lie apart
        ("stm32f746g-discovery", 320, 1024),
        ("nucleo-h743zi", 512, 2048),
        ("raspberry-pi-pico", 264, 2048),
        ("stm32vldiscovery", 8, 128),
    ],
)
def test_spans(name: str, span: int, flash: int) -> None:
    board = load(name)
    assert (board.ram_span, board.flash_span) == (span * 1024, flash * 1024)


def test_only_adjoining_regions_make_one_span() -> None:
    regions = [Region("c", 300, 50), Region("a", 0, 100), Region("b", 100, 30)]
    assert largest_span(regions) == 130
    assert largest_span(regions[:2]) == 100


def test_fit_counts_the_allowances_and_ends_at_the_last_byte() -> None:
    board = parse(BOARD, "mine.toml")
    ram, flash = 3072 - STACK_ALLOWANCE_BYTES, 65536 - STARTUP_ALLOWANCE_BYTES
    exact = fit(board, flash_bytes=flash, ram_bytes=ram)
    assert exact.fits
    assert exact.to_json() == {
        "fits": True,
        "ram_used": 3072,
        "ram_available": 3072,
        "flash_used": 65536,
        "flash_available": 65536,
    }
    assert not fit(board, flash_bytes=flash, ram_bytes=ram + 1).fits
    over = fit(board, flash_bytes=flash + 1, ram_bytes=ram)
    assert not over.fits
    assert over.explain() == ("RAM 3,072 of 3,072 bytes; flash 65,537 of 65,536 bytes, 1 too many")


def test_a_board_of_the_users_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(BOARD)
    board = load(path)
    assert board == load(str(path))
    assert board.to_json()["ram_span"] == 3072
    assert board.uart == ""


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
        ("cortex-m33", "cortex-a53", "'core' is 'cortex-a53'; it must be one of cortex-m0plus"),
        ("size = 2_048", "size = 0", r"'ram\[1\]\.size' is 0"),
        ("start = 0x2000_0400", "start = 0x2000_03FF", "lets 'b' overlap 'a'"),
        ("start = 0x3000_0000", "start = 0xFFFF_FFFF", "outside the 32-bit address space"),
        ('name = "far"', 'name = "far"\nbanks = 2', r"'ram\[2\]\.banks' is unknown"),
        ("[[flash]]", "[flash]", "'flash' is .* it must be a list"),
        ('name = "mine"', 'name = ""', "'name' is empty"),
        ('name = "mine"', "name = ", "mine.toml is not TOML"),
    ],
)
def test_a_wrong_file_is_refused_by_its_field(old: str, new: str, message: str) -> None:
    assert old in BOARD
    with pytest.raises(UserError, match=message) as caught:
        parse(BOARD.replace(old, new, 1), "mine.toml")
    assert "mine.toml" in str(caught.value)


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
