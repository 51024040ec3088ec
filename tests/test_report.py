"""The report page: complete, self-contained, deterministic, and safe with hostile names."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from edgecnn.console import Console
from edgecnn.display import show_parity
from edgecnn.evaluate import Accuracy
from edgecnn.ir import INT8, Graph, Node, QuantParams, Tensor
from edgecnn.operators import Dialect, operators
from edgecnn.ops.fully_connected import FullyConnectedAttributes
from edgecnn.ops.max_pool2d import MaxPool2DAttributes
from edgecnn.ops.sum import SumAttributes
from edgecnn.parity import Mismatch, ParityReport, RunnerResult
from edgecnn.quantization.error import LayerError
from edgecnn.simulator import differing_operators
from firmware_export.boards import Board, all_boards
from firmware_export.device.counting import Count
from firmware_export.device.profile import LayerProfile, Milliseconds, Profile
from firmware_export.exporters import CLayer
from firmware_export.fit import Fit, fit
from firmware_export.memory.lifetimes import problem
from firmware_export.memory.planner import plan
from firmware_export.report import ReportInput, number, printable, render
from firmware_export.report_figures import decibels
from tests.conftest import REPOSITORY
from tests.generated_networks import every_case
from tests.ops.case_table import Case, Constant, Value, build

VOID = {"meta", "br", "link", "img", "input", "hr"}


def chain(names: list[str]) -> Graph:
    """A chain of relu layers over 64 bytes; the first name is the input."""
    quant = QuantParams.per_tensor(0.125, -3)
    tensors = {name: Tensor(name, (1, 4, 4, 4), INT8, None, quant) for name in names}
    nodes = tuple(Node("relu", (a,), (b,)) for a, b in itertools.pairwise(names))
    return Graph("chain", nodes, tensors, (names[0],), (names[-1],))


def board_fit(board: Board) -> Fit:
    return fit(board, weight_bytes=30000, code_bytes=10000, arena_bytes=7000)


def report_input(names: list[str] | None = None) -> ReportInput:
    graph = chain(names or ["x", "middle", "y"])
    runners = (
        RunnerResult("numpy", True, tensors=3, values=1234567),
        RunnerResult("tflm", True, tensors=3, values=1234567),
        RunnerResult("litert", True, tensors=3, values=1234567, known_differences=5),
        RunnerResult("tflite", False, "package tflite-runtime is not installed"),
    )
    errors = tuple(
        LayerError(name, "relu", value, 0.25, 0.125, 0.999, -1.0, 2.0)
        for name, value in zip(graph.activations(), (math.inf, 33.25, 7.5), strict=False)
    )
    return ReportInput(
        name="digits",
        command="edgecnn export digits.onnx -o build",
        version="1.2.3",
        source_sha256="ab" * 32,
        graph=graph,
        plan=plan(problem(graph, {1: CLayer("", {}, scratch_bytes=20)})),
        weight_bytes=23456,
        file_sizes={"digits.c": 4321, "digits.h": 99},
        parity=ParityReport("tflm", 13, runners),
        accuracy=Accuracy(1000, 0.905, 0.901, 0.987),
        layer_errors=errors,
        fits={n: board_fit(b) for n, b in all_boards().items()},
        board="frdm-k64f",
    )


class Page(HTMLParser):
    """Collects visible text and attributes, and checks that elements nest."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.ids: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.stack == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, key, value or "") for key, value in attrs]
        self.ids += [value or "" for key, value in attrs if key == "id"]

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.stack or self.stack[-1] != "style":
            self.text += data + "\n"


@pytest.fixture(scope="module")
def page() -> str:
    return render(report_input())


def test_known_differences_name_the_operators_that_the_network_has() -> None:
    weights = Constant(np.ones((2, 4), np.int8), (0.01,), axis=0)
    graph = build(
        [
            Case("a", "max_pool2d", [Value((1, 4, 4, 3))], MaxPool2DAttributes((2, 2))),
            Case("b", "sum", [Value((1, 4, 4, 3))], SumAttributes((1, 2), True)),
            Case(
                "c", "fully_connected", [Value((1, 4)), weights, None], FullyConnectedAttributes()
            ),
        ]
    )
    data = dataclasses.replace(report_input(), graph=graph, layer_errors=None)
    data = dataclasses.replace(data, plan=plan(problem(graph, {})))
    text = Page(render(data)).text
    assert (
        "5 values differ from the reference exactly as predicted: in sum it reads the bytes as "
        "unsigned; in fully_connected it rounds once, not twice"
    ) in text


def test_a_runner_of_fewer_samples_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    data = report_input()
    all_of_them = RunnerResult("tflm", True, samples=13, tensors=3, values=130)
    few = RunnerResult("cortex-m4", True, samples=4, tensors=3, values=40, known_differences=2)
    parity = ParityReport("tflm", 13, (all_of_them, few))
    text = Page(render(dataclasses.replace(data, parity=parity))).text
    assert text.count("only the first 4 of 13 samples; 2 values differ") == 1
    assert "2 runners computed up to 13 samples" in text
    assert "go through every runner (the slow ones take only the first)" in text
    show_parity(Console(as_json=False, quiet=False), parity)
    rows = [line for line in capsys.readouterr().out.splitlines() if "only the first" in line]
    assert len(rows) == 1
    assert "only the first 4 of 13 samples; 2 known differences from tflm" in rows[0]

    whole = Page(render(dataclasses.replace(data, parity=ParityReport("tflm", 13, (all_of_them,)))))
    assert "1 runner computed 13 samples" in whole.text
    assert "only the first" not in whole.text


def test_operators_say_how_runtimes_differ_and_readme_names_them() -> None:
    """Of all named cases, what a dialect lowers otherwise says how."""
    graph = every_case()
    known = {name: op.differences for name, op in operators().items() if op.differences}
    for dialect in (Dialect.TFLITE, Dialect.LITERT):
        assert set(differing_operators(graph, dialect)) <= set(known)
        assert all(dialect in differences for differences in known.values())
    section = (REPOSITORY / "README.md").read_text().partition("## What equal means")[2]
    named = section.partition("\n## ")[0]
    assert [name for name in known if f"`{name}`" not in named] == []


def test_the_page_shows_what_was_measured(page: str) -> None:
    text = Page(page).text
    for shown in (
        "digits", "1.2.3", "ab" * 32, "edgecnn export digits.onnx -o build", "Every byte matches",
        "90.10\u202f%", "90.50\u202f%", "98.70\u202f%", "1\u202f234\u202f567", "23\u202f456",
        "33.2", "∞", "0.125", "−3", "1×4×4×4", "digits.c", "4\u202f321",
        "package tflite-runtime is not installed", "5 values differ from the reference exactly as",
        "frdm-k64f", "stm32vldiscovery",
    ):  # fmt: skip
        assert shown in text, shown


def test_too_small_a_board_says_by_how_much(page: str) -> None:
    # 7,000 bytes of arena and 2,048 of stack; the board has 8,192.
    assert "856 missing" in Page(page).text


def test_other_boards_are_judged_by_the_kernels_of_this_export(page: str) -> None:
    words = "are judged by this export's kernels"
    assert f"Boards other than frdm-k64f {words}" in Page(page).text
    without = render(dataclasses.replace(report_input(), board=None))
    assert f"All boards {words}" in Page(without).text


def test_the_page_is_alone_in_the_world(page: str) -> None:
    parsed = Page(page)
    assert not {"script", "link", "img", "iframe", "object", "foreignobject"} & set(parsed.tags)
    assert "//" not in re.sub(r"\s", "", page).replace("//-->", "")
    assert "url(" not in page.replace("url(#", "")
    assert "@import" not in page
    for _, key, value in parsed.attributes:
        assert not key.startswith("on")
        if key in ("href", "xlink:href", "src"):
            assert value.startswith("#")


def test_ids_are_unique_and_references_lead_somewhere(page: str) -> None:
    parsed = Page(page)
    assert len(parsed.ids) == len(set(parsed.ids))
    wanted = set(re.findall(r"url\(#([^)]+)\)", page)) | {
        value[1:] for _, key, value in parsed.attributes if key in ("href", "xlink:href")
    }
    assert wanted <= set(parsed.ids)


def test_the_same_input_gives_the_same_bytes(page: str) -> None:
    assert render(report_input()) == page
    assert render(dataclasses.replace(report_input(), weight_bytes=1)) != page


HOSTILE = [
    "</title><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "--><svg onload=alert(1)>]]>&amp;{{ 7*7 }}${HOME}$\\frac{1}{0}$",
    "line\nbreak\x00\x1b[31m\u202egnp.exe\ud800 名前",
    "y" * 5000,
]


def test_hostile_names_stay_text(page: str) -> None:
    data = dataclasses.replace(
        report_input(HOSTILE),
        name="<script>alert(2)</script>",
        command="edgecnn export '<b onclick=x>'",
        file_sizes={"<i>.c": 1},
        board="<u>board",
        fits={"<u>board": board_fit(load_any())},
        parity=ParityReport(
            "numpy",
            1,
            (
                RunnerResult(
                    "<s>",
                    True,
                    values=10,
                    mismatches=1,
                    first_mismatch=Mismatch(HOSTILE[1], (0, 1), -4, 0),
                ),
                RunnerResult("gone", False, "<script>alert(3)</script>"),
            ),
        ),
    )
    text = render(data)
    parsed = Page(text)
    # Its elements are those of the harmless page: no name has become one.
    assert set(parsed.tags) <= set(Page(page).tags)
    assert not any(key.startswith("on") for _, key, _ in parsed.attributes)
    assert "<script>alert(2)</script>" in parsed.text
    assert "{{ 7*7 }}" in parsed.text
    assert "\x00" not in text
    assert "\u202e" not in text
    assert "y" * 200 not in text
    text.encode("utf-8")


def load_any() -> Board:
    return next(iter(all_boards().values()))


def test_a_failed_parity_names_the_first_difference() -> None:
    data = report_input()
    bad = RunnerResult(
        "host-c",
        True,
        values=999,
        mismatches=7,
        first_mismatch=Mismatch("middle", (2, 0, 1, 1, 3), -5, 7),
    )
    text = Page(render(dataclasses.replace(data, parity=ParityReport("tflm", 3, (bad,))))).text
    assert "Parity failed" in text
    assert "Every byte matches" not in text
    assert "middle [2, 0, 1, 1, 3]: −5 expected, 7 computed" in text


def test_a_runner_that_rejects_the_model_is_a_failure() -> None:
    data = report_input()
    refusal = RunnerResult("litert", True, "LiteRT rejects the model: rank", rejected=True)
    parity = ParityReport("tflm", 3, (*data.parity.runners[:2], refusal))
    text = Page(render(dataclasses.replace(data, parity=parity))).text
    assert "Parity failed" in text
    assert "1 of 3 runners rejected the model" in text
    assert "LiteRT rejects the model: rank" in text


def test_dollars_in_names_are_not_mathematics() -> None:
    page = render(report_input(["x", "$m^2$", "y"]))
    labels = re.findall(r"<text[^>]*>([^<]*)</text>", page)
    assert any("$m^2$" in label for label in labels)


def test_a_report_without_any_runner_claims_nothing() -> None:
    absent = RunnerResult("tflm", False, "not installed")
    data = dataclasses.replace(report_input(), parity=ParityReport("tflm", 0, (absent,)))
    text = Page(render(data)).text
    assert "Nothing was compared" in text
    assert "Every byte matches" not in text


def test_a_network_that_does_not_fit_its_board_is_no_success() -> None:
    data = dataclasses.replace(report_input(), board="stm32vldiscovery")
    text = render(data)
    assert "does not fit the board" in text
    assert 'class="verdict fail"' in text
    # In the words that the command line uses too.
    assert data.fits["stm32vldiscovery"].explain(number) in Page(text).text


def test_what_was_not_measured_is_left_out() -> None:
    data = dataclasses.replace(
        report_input(), accuracy=None, layer_errors=None, fits={}, board=None
    )
    text = render(data)
    for section in ("accuracy", "error", "boards"):
        assert f'id="{section}"' not in text
    assert "SQNR" not in text


def counted(cpu: str, *, is_estimate: bool) -> Profile:
    layers = (
        LayerProfile(0, "middle", "relu", 0, Count(900, 1000, 10, 20, 30)),
        LayerProfile(1, "y", "conv2d", 46_913, Count(200_000, 234_567, 40, 50, 60)),
    )
    time = Milliseconds(120_000_000, 1.96, 7.5)
    return Profile(cpu, "clang", is_estimate, layers, 64, 321, 4567, 89, time)


def test_cycles_are_shown_where_they_were_counted() -> None:
    data = dataclasses.replace(report_input(), profile=counted("cortex-m0plus", is_estimate=False))
    text = Page(render(data)).text
    assert "Cycles, Cortex-M0+" in text
    for figure in ("235\u202f567", "234\u202f567", "200\u202f900", "0.2", "1.96 ms", "7.5 ms"):
        assert figure in text
    assert "Arm's table" in text
    assert "321 of stack" in text


def test_estimated_cycles_are_called_so() -> None:
    data = dataclasses.replace(report_input(), profile=counted("cortex-m7", is_estimate=True))
    text = Page(render(data)).text
    assert "they are estimated" in text
    assert "Arm's table" not in text


def test_figures_are_written_for_reading() -> None:
    assert number(-1234567) == "−1\u202f234\u202f567"
    assert [decibels(v) for v in (math.inf, -math.inf, -3.04)] == ["∞", "−∞", "−3.0"]
    assert printable("a\x00b") == "a�b"
    assert printable("abcdef", 4) == "abc…"


def test_how_good_the_memory_plan_is_proved_to_be() -> None:
    data = report_input()
    proved = "it is proved that no plan of these buffers takes less"
    assert f"; {proved}." in Page(render(data)).text
    unsure = dataclasses.replace(data, plan=dataclasses.replace(data.plan, lower_bound=100))
    assert f"; {proved} than 100." in Page(render(unsure)).text
