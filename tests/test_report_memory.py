"""The report's memory map: buffers by name over time, and what is written over what."""

from __future__ import annotations

import dataclasses
import re

import pytest

from firmware_export.memory import checker
from firmware_export.memory.plan import Buffer, Overlap, Plan
from firmware_export.report import ReportInput, render
from firmware_export.report_figures import Overwritten, overwritten, usage
from tests.test_report import Page, report_input


@pytest.fixture(scope="module")
def page() -> str:
    return render(report_input())


def figure_of(page: str) -> str:
    figure = page[page.index('aria-label="Memory map') :]
    return figure[: figure.index("</svg>")]


def test_the_memory_map_has_a_rectangle_for_each_buffer(page: str) -> None:
    data = report_input()
    figure = page[page.index('aria-label="Memory map') :]
    figure = figure[: figure.index("</svg>")]
    titles = re.findall(r"<title>(\d+): (.*?), (\d+) bytes at (\d+)</title>", figure)
    assert titles == [
        (str(i), b.name, str(b.size), str(data.plan.offsets[b.name]))
        for i, b in enumerate(data.plan.buffers)
    ]
    assert f"arena {data.plan.arena_bytes} bytes" in figure
    assert "peak: layer 1" in figure


def test_usage_counts_every_buffer_that_is_alive() -> None:
    # Input and output of layer 0; those of layer 1 and its scratch; the output after it.
    assert usage(report_input().plan) == {-1: 64, 0: 128, 1: 148, 2: 64}


# --- outputs over their inputs ----------------------------------------------------------------

#: A chain of two layers over 64 bytes: the first writes over its input, the second does not.
CHAIN = (Buffer("x", 64, -1, 0), Buffer("middle", 64, 0, 1), Buffer("y", 64, 1, 2))


def over_input(distance: int) -> ReportInput:
    """The chain whose first layer writes so many bytes below its input."""
    overlaps = (Overlap("middle", "x", distance),)
    offsets = {"x": distance, "middle": 0, "y": 64}
    found = Plan(CHAIN, offsets, 128, overlaps, lower_bound=128)
    checker.check(found)
    return dataclasses.replace(report_input(), plan=found)


def test_bytes_that_two_buffers_share_count_once() -> None:
    """In layer 0 the union of both buffers is in use; in layer 1 two that are apart."""
    assert usage(over_input(0).plan) == {-1: 64, 0: 64, 1: 128, 2: 64}
    assert usage(over_input(16).plan) == {-1: 64, 0: 80, 1: 128, 2: 64}
    assert usage(over_input(64).plan) == {-1: 64, 0: 128, 1: 128, 2: 64}


def test_where_a_plan_uses_its_overlaps() -> None:
    assert overwritten(over_input(0).plan) == [Overwritten(0, "middle", "x", 0, 64)]
    assert overwritten(over_input(16).plan) == [Overwritten(0, "middle", "x", 16, 64)]
    assert overwritten(over_input(64).plan) == []
    assert overwritten(report_input().plan) == []


@pytest.mark.parametrize("back", [0, -16], ids=["not allowed", "allowed"])
def test_bytes_of_two_that_may_overlap_both_ways_are_marked_once(back: int) -> None:
    data = over_input(16)
    overlaps = (*data.plan.overlaps, Overlap("x", "middle", back))
    both = dataclasses.replace(data.plan, overlaps=overlaps)
    assert overwritten(both) == [Overwritten(0, "middle", "x", 16, 64)]


def test_the_figure_marks_what_is_written_over() -> None:
    page = render(over_input(16))
    figure = figure_of(page)
    assert "<title>layer 0: middle is written over 48 bytes of x</title>" in figure
    assert figure.count("is written over") == 1
    hatches = re.findall(r'<pattern id="(\w+)"', figure)
    assert len(hatches) == 1
    assert f"url(#{hatches[0]})" in figure
    assert "Hatched bytes are written over" in Page(page).text
    assert "written over an input" in Page(page).text


@pytest.mark.parametrize("data", [report_input(), over_input(64)], ids=["without", "unused"])
def test_nothing_is_marked_where_nothing_is_written_over(data: ReportInput) -> None:
    page = render(data)
    assert "<pattern" not in figure_of(page)
    assert "written over" not in Page(page).text


def test_names_stay_text_in_marks() -> None:
    """A name that a model file gave is escaped in the tooltip, too."""
    data = over_input(0)
    rename = {"x": "<b>", "middle": "middle", "y": "y"}
    changed = report_input(["<b>", "middle", "y"])
    buffers = tuple(dataclasses.replace(b, name=rename[b.name]) for b in data.plan.buffers)
    offsets = {rename[name]: offset for name, offset in data.plan.offsets.items()}
    hostile = Plan(buffers, offsets, 128, (Overlap("middle", "<b>", 0),))
    page = render(dataclasses.replace(changed, plan=hostile))
    assert "is written over 64 bytes of &lt;b&gt;</title>" in page
    assert "<b>" not in page


# --- how good the plan is ---------------------------------------------------------------------


def test_a_plan_that_is_proved_optimal_is_called_so() -> None:
    text = Page(render(over_input(0))).text
    assert "The arena takes 128 bytes, of which 128 are in use at the busiest layer" in text
    assert "it is proved that no plan of these buffers takes less." in text


def test_a_plan_that_is_not_proved_optimal_is_not() -> None:
    data = over_input(0)
    larger = dataclasses.replace(data.plan, arena_bytes=132, lower_bound=128)
    text = Page(render(dataclasses.replace(data, plan=larger))).text
    assert "The arena takes 132 bytes, of which 128 are in use" in text
    assert "it is proved that no plan of these buffers takes less than 128" in text
