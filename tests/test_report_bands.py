"""What report and terminal say of RAM against cycles, of layers in bands, and of fed rows."""

from __future__ import annotations

import dataclasses
import re

import pytest

from edgecnn.console import Console
from edgecnn.display import show_bands
from edgecnn.ir import Graph
from firmware_export.chooser import Choice, choose_kernels
from firmware_export.chooser.streams import StreamChoice
from firmware_export.device.target import choose
from firmware_export.memory.lifetimes import (
    STREAM_POSITION,
    STREAM_SCRATCH,
    STREAM_STATE,
    problem,
    rows_name,
)
from firmware_export.memory.planner import plan
from firmware_export.report import ReportInput, number, render
from firmware_export.report_figures import Columns, kind_of
from firmware_export.report_memory import (
    band_rows,
    banded,
    curve_rows,
    feed_input,
    rows_in_words,
    taken,
)
from firmware_export.streaming.stream import Stream
from tests.streaming.networks import residual_network
from tests.test_report import Page, report_input

M4 = choose("cortex-m4", None)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return residual_network()


@pytest.fixture(scope="module")
def small(graph: Graph) -> Choice:
    """A network that is cut to the smallest arena that there is."""
    least = choose_kernels(graph, M4, "memory").curve[0].arena_bytes
    return choose_kernels(graph, M4, "speed", ram_limit=least)


@pytest.fixture(scope="module")
def fed(graph: Graph) -> Choice:
    return choose_kernels(graph, M4, "memory", is_fed=True)


def banded_report(graph: Graph, choice: Choice) -> ReportInput:
    stream = stream_of(choice)
    return dataclasses.replace(
        report_input(),
        graph=graph,
        layer_errors=None,
        plan=plan(problem(graph, stream.layers, {}, stream)),
        choice=choice,
    )


def stream_of(choice: Choice) -> Stream:
    assert choice.stream is not None
    return choice.stream


def streamed_of(choice: Choice) -> StreamChoice:
    assert choice.streamed is not None
    return choice.streamed


def section(page: str, name: str) -> str:
    found = re.search(f'<section id="{name}">.*?</section>', page, re.S)
    assert found is not None
    return found[0]


# --- RAM against cycles -----------------------------------------------------------------------


def test_the_curve_is_told_point_by_point(graph: Graph, small: Choice) -> None:
    assert len(small.curve) > 2
    rows = curve_rows(small)
    assert [(r.arena_bytes, r.cycles) for r in rows] == [
        (p.arena_bytes, p.cycles) for p in small.curve
    ]
    assert [r.is_taken for r in rows] == [True] + [False] * (len(rows) - 1)
    assert rows[-1].times == 1.0
    assert rows[0].times == rows[0].cycles / rows[-1].cycles > 1
    assert rows[0].layers == stream_of(small).count
    assert rows[0].rows == rows_in_words(streamed_of(small).rows)

    page = section(render(banded_report(graph, small)), "ram")
    text = Page(page).text
    for row in rows:
        assert f"<title>{row.title}</title>" in page
        assert number(row.arena_bytes) in text
        assert f"{row.times:.3f}" in text
    assert page.count('<span class="badge pass">taken</span>') == 1
    assert f"taken: {number(rows[0].arena_bytes)} bytes</text>" in page
    assert "--ram-limit" in text
    assert "trials" in text


def test_each_point_is_known_as_taken_where_it_is(graph: Graph, small: Choice) -> None:
    for point in small.curve:
        choice = choose_kernels(graph, M4, "speed", ram_limit=point.arena_bytes)
        found = taken(choice)
        assert found is not None
        assert (found.arena_bytes, found.cycles) == (point.arena_bytes, point.cycles)


def test_no_curve_no_section(graph: Graph) -> None:
    fastest = choose_kernels(graph, M4, "speed")
    assert fastest.curve == ()
    assert curve_rows(fastest) == curve_rows(None) == []
    assert taken(fastest) is None
    data = dataclasses.replace(
        report_input(), graph=graph, layer_errors=None, plan=plan(problem(graph, {})),
        choice=fastest,
    )  # fmt: skip
    page = render(data)
    assert 'id="ram"' not in page
    assert 'id="bands"' not in page
    assert "in bands" not in Page(page).text
    assert "feed_rows" not in page


# --- layers in bands --------------------------------------------------------------------------


def test_layers_in_bands_are_listed_with_what_is_held(graph: Graph, small: Choice) -> None:
    stream, streamed = stream_of(small), streamed_of(small)
    names = {name: name for name in graph.tensors}
    rows = band_rows(small, graph, names)
    assert [r.layer for r in rows] == list(range(stream.count))
    assert [r.kernel for r in rows] == list(streamed.kernels)
    assert [r.rows * r.bands for r in rows] == [
        graph.tensors[graph.nodes[s].output].shape[1] for s in range(stream.count)
    ]
    held = {stage.output: row for stage, row in zip(stream.stages, stream.members, strict=True)}
    for number_of_line, members in held.items():
        row = rows[members[-1]]
        capacity, line = stream.outcome.capacity[number_of_line], stream.lines[number_of_line]
        assert row.held == (f"all {capacity}" if line.whole else f"{capacity} of {line.rows}")
        assert row.held_bytes == stream.line_bytes(number_of_line)
        for inner in members[:-1]:
            assert (rows[inner].held, rows[inner].held_bytes) == (
                f"in the place of layer {members[-1]}",
                None,
            )
    page = Page(section(render(banded_report(graph, small)), "bands")).text
    for row in rows:
        assert row.kernel in page
        assert row.held in page
    assert "are held at a time beside it" in page


def test_kernels_of_layers_in_bands_are_not_those_for_all_rows(graph: Graph, small: Choice) -> None:
    count = stream_of(small).count
    assert banded(small, frozenset({0})) == "in bands"
    assert banded(small, frozenset({0, count})) == "0 in bands"
    assert banded(small, frozenset({count})) == ""
    page = section(render(banded_report(graph, small)), "kernels")
    inside = [t for t in small.trials if t.group.covered <= set(range(count))]
    assert inside
    assert page.count('<span class="badge absent">in bands</span>') == sum(
        len(t.trials) for t in inside
    )
    for row in re.findall(r"<tr.*?</tr>", page, re.S):
        assert not ("chosen" in row and ">in bands<" in row)


def test_rows_and_state_of_the_stream_are_called_so_in_the_map(graph: Graph, fed: Choice) -> None:
    data = banded_report(graph, fed)
    kinds = {b.name: kind_of(b, graph) for b in data.plan.buffers}
    (read,) = graph.inputs
    assert read not in kinds
    assert kinds[rows_name(read)] == "rows"
    assert kinds[STREAM_STATE] == kinds[STREAM_POSITION] == "state"
    assert kinds.get(STREAM_SCRATCH, "scratch") == "scratch"
    page = section(render(data), "memory")
    assert f"rows of {read}" in page
    assert f"layers 0\u2013{stream_of(fed).count - 1}" in page
    assert "The input comes in rows from outside" in page


def test_layers_in_bands_share_a_wider_column() -> None:
    apart, shared = Columns(5), Columns(5, 3)
    assert [(apart.left(s), apart.right(s)) for s in (-1, 0, 4, 5)] == [
        (-1, 0), (0, 1), (4, 5), (5, 6)
    ]  # fmt: skip
    assert [(shared.left(s), shared.right(s)) for s in (-1, 2, 3, 5)] == [
        (-1, 0), (0, 3), (3, 4), (5, 6)
    ]  # fmt: skip
    assert [shared.title(s) for s in (-1, 2, 3, 5)] == [
        "before layer 0", "layers 0\u20132", "layer 3", "after the last layer",
    ]  # fmt: skip
    assert Columns(5, 1).title(0) == "layer 0"
    assert (shared.end, apart.end) == (6, 6)


# --- fed rows ---------------------------------------------------------------------------------


def test_a_row_fed_network_shows_how_its_rows_are_fed(graph: Graph, fed: Choice) -> None:
    feed = feed_input(fed.stream)
    assert feed is not None
    tensor = graph.tensors[graph.inputs[0]]
    assert (feed.rows, feed.rows * feed.row_bytes) == (tensor.shape[1], tensor.nbytes)
    assert 0 < feed.held < feed.rows
    ports = Page(section(render(banded_report(graph, fed)), "files")).text
    assert "digits_feed_rows(arena, rows, count)" in ports
    assert f"a row has {number(feed.row_bytes)} bytes" in ports
    assert f"the last of the {feed.rows} rows" in ports
    assert "input, in rows" in ports


def test_a_network_in_bands_that_has_its_input_shows_no_feeding(
    graph: Graph, small: Choice
) -> None:
    page = render(banded_report(graph, small))
    assert "feed_rows" not in page
    assert "input, in rows" not in Page(page).text


# --- the terminal -----------------------------------------------------------------------------


def said(choice: Choice, arena_bytes: int, capsys: pytest.CaptureFixture[str]) -> str:
    show_bands(Console(as_json=False, quiet=False), choice, arena_bytes)
    return " ".join(capsys.readouterr().out.replace("\u202f", " ").split())


def test_bands_are_a_line_on_the_terminal(
    graph: Graph, small: Choice, capsys: pytest.CaptureFixture[str]
) -> None:
    rows, arenas = streamed_of(small).rows, [p.arena_bytes for p in small.curve]
    assert min(rows) == 1
    span = "1 row" if max(rows) == 1 else f"1 to {max(rows)} rows"
    layers = f"{len(rows)} layers in bands of {span}"
    span = f"from {arenas[0]:,} to {arenas[-1]:,}".replace(",", " ")
    curve = f"arena 777 bytes, of {len(arenas)} {span}"
    assert said(small, 777, capsys) == f"{layers}; {curve} that --ram-limit picks from"
    assert said(dataclasses.replace(small, curve=()), 777, capsys) == layers
    whole = dataclasses.replace(small, streamed=None)
    assert said(whole, 777, capsys) == f"{curve} that --ram-limit picks from"
    assert said(choose_kernels(graph, M4, "speed"), 777, capsys) == ""
