"""What the report says of accuracy, layers and ranges: right, deterministic, of some size."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from edgecnn.evaluate import Accuracy
from edgecnn.ir import INT8, INT16, Graph, Node, QuantParams, Tensor
from edgecnn.metrics import ClassScores
from edgecnn.ops.fully_connected import FullyConnectedAttributes
from edgecnn.quantization.error import LayerError
from edgecnn.quantization.sensitivity import LayerCost, LayerTable
from firmware_export.report import ReportInput, render
from firmware_export.report_accuracy import (
    confusion_chart,
    layer_rows,
    range_rows,
    ranges_chart,
    weight_rows,
    weights_chart,
)
from tests.test_report import Page, report_input

SCORES = ClassScores(((7, 1, 0), (0, 5, 0), (2, 0, 0)))


def with_accuracy(names: list[str] | None = None) -> ReportInput:
    data = report_input(names)
    x, y = data.graph.inputs[0], data.graph.outputs[0]
    errors = tuple(
        LayerError(name, "relu", 33.0, 0.1, 0.125, 0.99987, -20.0, 1.5) for name in (x, y)
    )
    costs = (
        LayerCost(x, "input", 40.5, 0.9999, 0.93),
        LayerCost(y, "relu", 21.25, 0.98, 0.75),
    )
    return dataclasses.replace(
        data,
        accuracy=Accuracy(15, 0.9, 0.8, 0.95, SCORES, SCORES),
        layer_errors=errors,
        layer_table=LayerTable(15, 0.9, errors, costs),
    )


@pytest.fixture(scope="module")
def text() -> str:
    return Page(render(with_accuracy())).text


def test_classes_are_shown(text: str) -> None:
    assert "1 taken for 1: 5, 100.0 % of 1" in text
    assert "0 taken for 1: 1, 12.5 % of 0" in text
    assert "1 taken for 0" not in text
    assert "Recall and precision" in text


def test_layers_are_shown_and_the_costliest_marked(text: str) -> None:
    assert text.count("costs most") == 1
    assert text.index("40.5") < text.index("costs most") < text.index("21.2")
    for value in ("0.999870", "75.00", "93.00"):
        assert value in text
    without = dataclasses.replace(with_accuracy(), layer_table=None, layer_errors=None)
    assert "Each layer alone" not in render(without)


def test_ranges_are_shown(text: str) -> None:
    # Scale 0.125, zero point -3: the codes stand for -15.625 to 16.25.
    assert "seen -20 to 1.5, covered -15.62 to 16.25" in text


def test_the_same_input_gives_the_same_bytes() -> None:
    assert render(with_accuracy()) == render(with_accuracy())


def test_names_of_models_are_shown_as_text() -> None:
    page = Page(render(with_accuracy(["<script>x</script>", "m\u202e", "\ud800y"])))
    assert "script" not in page.tags
    assert "<script>x</script>" in page.text


def test_a_row_each_layer() -> None:
    data = with_accuracy()
    names = {name: name.upper() for name in data.graph.tensors}
    rows = layer_rows(data.layer_table, names)
    assert [(row.tensor, row.sqnr_db, row.alone_db) for row in rows] == [
        ("X", 33.0, 40.5),
        ("Y", 33.0, 21.25),
    ]
    assert [row.is_costliest for row in rows] == [False, True]
    assert layer_rows(None, names) == []


def test_spans_are_shares_of_what_is_covered() -> None:
    tensors = {
        "a": Tensor("a", (1,), INT8, None, QuantParams.per_tensor(1.0, -128)),
        "b": Tensor("b", (1,), INT16, None, QuantParams.per_tensor(1.0, 0)),
    }
    graph = Graph("net", (), tensors, ("a",), ("b",))
    errors = [
        LayerError("a", "input", 1.0, 1.0, 1.0, 1.0, 51.0, 510.0),
        LayerError("b", "relu", 1.0, 1.0, 1.0, 1.0, -32768.0, 32767.0),
    ]
    first, second = range_rows(errors, graph, {"a": "a", "b": "b"})
    assert (first.covered_low, first.covered_high) == (0.0, 255.0)
    assert first.span == (0.2, 2.0)
    assert second.span == (0.0, 1.0)
    chart = ranges_chart([first, second])
    assert "a: seen 51 to 510, covered 0 to 255" in chart
    assert chart.count("var(--weak)") == 1  # what is clipped
    assert ranges_chart([]) == ""


def weighted() -> Graph:
    """A layer whose channels have largest weights 127 × 0.5, 2 × 0.25 and none."""
    codes = np.array([[127, 0], [-2, 1], [0, 0]], np.int8)
    tensors = {
        "x": Tensor("x", (1, 2), INT8, None, QuantParams.per_tensor(1.0, 0)),
        "y": Tensor("y", (1, 3), INT8, None, QuantParams.per_tensor(1.0, 0)),
        "w": Tensor("w", (3, 2), INT8, codes, QuantParams((0.5, 0.25, 0.5), (0, 0, 0), 0)),
    }
    node = Node("fully_connected", ("x", "w"), ("y",), FullyConnectedAttributes())
    return Graph("net", (node,), tensors, ("x",), ("y",))


def test_the_largest_weight_of_each_channel() -> None:
    (row,) = weight_rows(weighted(), {"y": "the layer"})
    np.testing.assert_array_equal(row.largest, [63.5, 0.5, 0.0])
    chart = weights_chart([row])
    assert "layer 0, the layer: 3 channels, 0.5 to 63.5" in chart
    assert chart == weights_chart([row])


def test_weights_that_are_all_zero_have_no_figure() -> None:
    graph = weighted()
    zero = dataclasses.replace(graph.tensors["w"], data=np.zeros((3, 2), np.int8))
    rows = weight_rows(graph.replace(tensors={**graph.tensors, "w": zero}), {"y": "y"})
    assert weights_chart(rows) == ""


def test_many_classes_have_no_figure() -> None:
    many = ClassScores(tuple(tuple(int(i == j) for j in range(31)) for i in range(31)))
    assert confusion_chart(many) == confusion_chart(None) == ""
