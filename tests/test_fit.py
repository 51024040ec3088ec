"""Whether a network fits a board: to the byte, in which memory, and what helps where not."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from edgecnn.ir import INT8, INT32, Graph, Node, QuantParams, Tensor
from edgecnn.ops.fully_connected import FullyConnectedAttributes
from firmware_export.boards import Board, Region, all_boards, load
from firmware_export.c_writer import Provenance, to_c
from firmware_export.fit import (
    STACK_ALLOWANCE_BYTES,
    STARTUP_ALLOWANCE_BYTES,
    Fit,
    board_fits,
    fit,
    fit_together,
)

KB = 1024


def board(flash: int, ram: int) -> Board:
    """A board with that many bytes, the RAM in two adjoining regions."""
    low = Region("low", 0x2000_0000, ram - 256)
    return Board(
        name="mine",
        title="My board",
        core="cortex-m4",
        fpu=True,
        clock_hz=1,
        source="none",
        flash=(Region("flash", 0, flash, 2, "ART"),),
        ram=(low, Region("high", low.end, 256), Region("far", 0x3000_0000, 64)),
    )


def fit_of(target: Board, weights: int = 900, code: int = 100, arena: int = 500) -> Fit:
    return fit(target, weight_bytes=weights, code_bytes=code, arena_bytes=arena)


RAM = 500 + STACK_ALLOWANCE_BYTES
FLASH = 900 + 100 + STARTUP_ALLOWANCE_BYTES


@pytest.mark.parametrize(("flash_missing", "ram_missing"), [(0, 0), (1, 0), (0, 1), (7, 5)])
def test_networks_in_turn_add_up_in_flash_and_share_the_ram(
    flash_missing: int, ram_missing: int
) -> None:
    """To the byte: one arena, the largest; one stack; one start-up."""
    target = board(FLASH + 35 - flash_missing, RAM - ram_missing)
    large = board(1 << 20, 1 << 20)
    alone = [fit_of(large), fit_of(large, 30, 5, 499)]
    found = fit_together(target, alone)
    assert (found.flash.missing, found.ram.missing) == (flash_missing, ram_missing)
    assert found.fits == (not flash_missing and not ram_missing)
    assert bool(found.remedies) != found.fits
    assert (found.smallest_board is None) == found.fits


@pytest.mark.parametrize(
    ("flash", "ram", "flash_missing", "ram_missing"),
    [
        (FLASH, RAM, 0, 0),
        (FLASH - 1, RAM, 1, 0),
        (FLASH, RAM - 1, 0, 1),
        (FLASH - 7, RAM - 5, 7, 5),
        (FLASH * 9, RAM - 5, 0, 5),
        (FLASH - 7, RAM * 9, 7, 0),
    ],
)
def test_it_fits_to_the_byte(flash: int, ram: int, flash_missing: int, ram_missing: int) -> None:
    found = fit_of(board(flash, ram))
    assert (found.flash.missing, found.ram.missing) == (flash_missing, ram_missing)
    assert found.fits == (not flash_missing and not ram_missing)
    assert found.flash.free == max(0, flash - FLASH)
    assert found.ram.free == max(0, ram - RAM)


def test_the_numbers_as_json() -> None:
    found = fit_of(board(FLASH + 3, RAM - 5)).to_json()
    assert found == {
        "fits": False,
        "ram_used": RAM,
        "ram_available": RAM - 5,
        "flash_used": FLASH,
        "flash_available": FLASH + 3,
        "ram": {
            "region": "low and high",
            "start": 0x2000_0000,
            "used": RAM,
            "available": RAM - 5,
            "free": 0,
            "missing": 5,
            "parts": {"arena": 500, "stack": STACK_ALLOWANCE_BYTES},
        },
        "flash": {
            "region": "flash",
            "start": 0,
            "used": FLASH,
            "available": FLASH + 3,
            "free": 3,
            "missing": 0,
            "parts": {"weights": 900, "code": 100, "start-up": STARTUP_ALLOWANCE_BYTES},
        },
        "remedies": [],
        "smallest_board": None,
    }


def test_the_numbers_in_words() -> None:
    assert fit_of(board(FLASH + 1003, RAM - 5)).explain() == (
        "RAM 2,548 of 2,543 bytes, 5 missing, in low and high (arena 500, stack 2,048); "
        "flash 5,096 of 6,099 bytes, 1,003 free, in flash (weights 900, code 100, start-up 4,096)"
    )


def dense(inputs: int, outputs: int) -> Graph:
    """One dense layer: ``inputs * outputs`` bytes of weights, ``inputs + outputs`` of arena."""
    scale = QuantParams.per_tensor(0.1, 0)
    weights = np.ones((outputs, inputs), np.int8)
    tensors = {
        "x": Tensor("x", (1, inputs), INT8, None, scale),
        "w": Tensor("w", weights.shape, INT8, weights, scale),
        "b": Tensor("b", (outputs,), INT32, np.zeros(outputs, np.int32),
                    QuantParams.per_tensor(0.01, 0)),
        "y": Tensor("y", (1, outputs), INT8, None, scale),
    }  # fmt: skip
    nodes = (Node("fully_connected", ("x", "w", "b"), ("y",), FullyConnectedAttributes()),)
    return Graph("dense", nodes, tensors, ("x",), ("y",))


def fits_of(graph: Graph, folder: Path, *names: str) -> dict[str, Fit]:
    network = to_c(graph, graph.name, Provenance("", "", ""))
    for file, text in network.files.items():
        (folder / file).write_text(text)
    return board_fits(folder, graph.name, network, [load(n) for n in names] if names else None)


def test_flash_but_not_ram(tmp_path: Path) -> None:
    found = fits_of(dense(20 * KB, 1), tmp_path, "microbit-v1")["microbit-v1"]
    assert found.flash.fits
    assert found.ram.missing > 4 * KB
    assert found.smallest_board == "microbit-v2"
    assert len(found.remedies) == 2
    assert "smaller input" in found.remedies[0]
    assert "microbit-v2 (BBC micro:bit V2), the smallest known board" in found.explain()


def test_ram_but_not_flash(tmp_path: Path) -> None:
    found = fits_of(dense(1024, 256), tmp_path, "microbit-v1")["microbit-v1"]
    assert found.ram.fits
    assert found.flash.missing > 4 * KB
    assert found.smallest_board == "microbit-v2"
    assert "fewer channels" in found.remedies[0]
    assert "smaller input" not in found.explain()


def test_where_it_fits_nothing_is_recommended(tmp_path: Path) -> None:
    fits = fits_of(dense(16, 4), tmp_path)
    assert list(fits) == list(all_boards())
    assert all(found.fits and not found.remedies for found in fits.values())
    assert all(found.advice() == "" for found in fits.values())


def test_a_network_like_vgg_fits_no_board(tmp_path: Path) -> None:
    """Its first dense layer has 25,088 inputs; already 168 outputs are over 4 MB of weights."""
    fits = fits_of(dense(25_088, 168), tmp_path)
    assert not any(found.fits for found in fits.values())
    assert {found.smallest_board for found in fits.values()} == {None}
    for found in fits.values():
        assert found.flash.missing
        assert found.explain().endswith("No known board is large enough")


def test_the_smallest_board_is_the_one_with_the_least_ram(tmp_path: Path) -> None:
    found = fits_of(dense(258 * KB, 1), tmp_path)
    fitting = {name for name, one in found.items() if one.fits}
    smallest = {one.smallest_board for one in found.values() if not one.fits}
    assert smallest == {"raspberry-pi-pico"}
    assert min(all_boards()[name].ram_span for name in fitting) == 264 * KB
    assert dataclasses.replace(found["microbit-v2"], remedies=()).advice() == ""
