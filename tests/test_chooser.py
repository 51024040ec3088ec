"""Kernels are chosen by what they take on the emulated core, within flash and RAM."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from edgecnn.ir import Graph
from edgecnn.loading import load_path
from edgecnn.passes.remove_channels import remove_channels
from firmware_export import boards
from firmware_export.chooser import Choice, budget_of, choose_kernels, plain_weight_bytes
from firmware_export.chooser.excerpt import rows_of
from firmware_export.chooser.selection import Budget, Frame, select
from firmware_export.chooser.trials import PORTABLE, linked_bytes
from firmware_export.device.build import COMPILERS, unavailable
from firmware_export.device.cores import CORES
from firmware_export.device.target import Target, choose
from tests.ops.case_table import build
from tests.ops.test_conv2d import conv

M4 = choose("cortex-m4", None)


def layers() -> Graph:
    """Two convolutions of one shape, one of another, and one in groups, which has no choice."""
    first = conv("first", (6, 6, 8), (16, 3, 3, 8), padding=(1, 1, 1, 1))
    return build(
        [
            first,
            replace(first, name="again"),
            conv("other", (4, 4, 16), (8, 1, 1, 16)),
            conv("groups", (4, 4, 8), (8, 1, 1, 4), groups=2),
        ]
    )


@pytest.fixture(scope="module")
def chosen() -> Choice:
    return choose_kernels(layers(), M4, "speed")


def limited(choice: Choice, budget: Budget) -> tuple[int, int, int]:
    """Cycles, flash and arena of a selection under a budget."""
    found = select(Frame.of(layers()), choice.trials, budget)
    return found.cycles, found.flash_bytes, found.arena_bytes


def test_layers_of_one_shape_are_tried_once(chosen: Choice) -> None:
    assert [t.group.steps for t in chosen.trials] == [(0, 1), (2,)]
    for tried in chosen.trials:
        assert tried.trials[0].kernel == PORTABLE
        assert {t.kernel for t in tried.trials} == set(tried.group.layers)
        assert all(t.cycles > 0 and t.code_bytes > 0 for t in tried.trials)


def test_speed_takes_the_fastest(chosen: Choice) -> None:
    for tried, kernel in zip(chosen.trials, chosen.selection.kernels, strict=True):
        cycles = {t.kernel: t.cycles for t in tried.trials}
        assert cycles[kernel] == min(cycles.values()) < cycles[PORTABLE]
    assert set(chosen.selection.layers) == {"first", "again", "other"}


def test_the_same_again_with_and_without_the_cache(
    chosen: Choice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGECNN_CACHE", str(tmp_path))
    fresh = choose_kernels(layers(), M4, "speed")
    assert len(list(tmp_path.iterdir())) == len(fresh.trials)
    for again in (fresh, choose_kernels(layers(), M4, "speed")):
        assert again.to_json() == chosen.to_json()


def test_a_spoilt_cache_is_measured_again(
    chosen: Choice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGECNN_CACHE", str(tmp_path))
    choose_kernels(layers(), M4, "speed")
    for entry in tmp_path.iterdir():
        entry.write_text('[{"kernel": 1}]')
    assert choose_kernels(layers(), M4, "speed").to_json() == chosen.to_json()


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setenv("EDGECNN_CACHE", str(file / "below"))
    assert choose_kernels(layers(), M4, "speed").selection.layers


def test_less_flash_costs_cycles(chosen: Choice) -> None:
    cycles, flash, _ = limited(chosen, Budget())
    smallest = limited(chosen, Budget(flash=0))
    assert smallest[0] > cycles
    assert smallest[1] < flash
    for limit in range(smallest[1], flash, 200):
        found = limited(chosen, Budget(flash=limit))
        assert found[1] <= limit
        assert cycles <= found[0] <= smallest[0]


def test_less_ram(chosen: Choice) -> None:
    _, _, arena = limited(chosen, Budget())
    least = limited(chosen, Budget(least_ram=True))[2]
    assert least <= arena
    assert limited(chosen, Budget(ram=arena - 1))[2] <= max(arena - 1, least)


def test_nothing_to_choose() -> None:
    graph = build([conv("groups", (4, 4, 8), (8, 1, 1, 4), groups=2)])
    choice = choose_kernels(graph, M4, "balanced")
    assert (choice.trials, choice.selection.layers, choice.compiler) == ((), {}, "")


def test_budgets() -> None:
    graph, board = layers(), boards.load("frdm-k64f")
    flash = int(1.35 * plain_weight_bytes(graph)) + 24 * 1024
    assert budget_of(graph, M4, "speed") == Budget(None, None)
    assert budget_of(graph, M4, "balanced") == Budget(flash, None)
    assert budget_of(graph, M4, "memory") == Budget(flash, None, least_ram=True)
    on_board = budget_of(graph, Target(CORES["cortex-m4"], board), "speed")
    assert on_board == Budget(1_048_576 - 4096, 262_144 - 2048)
    assert budget_of(graph, Target(CORES["cortex-m4"], board), "balanced").flash == flash


def test_weights_are_those_of_the_network() -> None:
    graph = layers()
    weights = 2 * 16 * 9 * 8 + 8 * 16 + 8 * 4
    assert plain_weight_bytes(graph) == weights + 4 * (16 + 16 + 8 + 8)
    unused = replace(graph.tensors["first/1"], name="unused")
    with_more = graph.replace(tensors={**graph.tensors, "unused": unused})
    assert plain_weight_bytes(with_more) == plain_weight_bytes(graph)


MODELS = ("pretrainedResnet_quant", "kws_ref_model", "vww_96_int8", "ad01_int8")


@pytest.mark.slow
@pytest.mark.parametrize("core", ["cortex-m4", "cortex-m0plus"])
@pytest.mark.parametrize("model", MODELS)
def test_balanced_keeps_flash(model: str, core: str, shared_path: Callable[[str], Path]) -> None:
    """Code and weights, linked: at most 1.35 times the plain weights, and 24 KB."""
    graph = remove_channels(load_path(shared_path(f"models/mlperf_tiny/{model}.tflite"))).graph
    choice = choose_kernels(graph, choose(core, None), "balanced")
    compilers = [name for name in COMPILERS if unavailable(name) is None]
    assert compilers
    for compiler in compilers:
        linked = linked_bytes(graph, choice.selection.layers, CORES[core], compiler)
        assert sum(linked) <= 1.35 * plain_weight_bytes(graph) + 24 * 1024
    speed = choose_kernels(graph, choose(core, None), "speed")
    assert speed.selection.cycles <= choice.selection.cycles


def large(rows: int) -> Graph:
    """A convolution over an image of 64 columns: 0.3 million multiply-accumulates a row."""
    case = conv("large", (rows, 64, 16), (32, 3, 3, 16), padding=(1, 1, 1, 1))
    return build([case])


def test_large_layers_are_tried_on_a_part_of_their_image() -> None:
    """What is tried takes a second at most; cycles are those of the whole, but for borders."""
    few, many = (choose_kernels(large(rows), M4, "speed") for rows in (24, 240))
    assert rows_of(large(24), large(24).nodes)[1] == 1  # as few rows as are ever taken
    excerpt, factor = rows_of(large(240), large(240).nodes)
    assert excerpt.tensors["large"].shape[1] * factor == 240
    assert few.selection.kernels == many.selection.kernels
    assert 9.5 < many.selection.cycles / few.selection.cycles < 10.5


def test_small_layers_are_tried_whole() -> None:
    graph = layers()
    for node in graph.nodes:
        excerpt, factor = rows_of(graph, [node])
        assert factor == 1
        assert excerpt.tensors[node.output].shape == graph.tensors[node.output].shape
