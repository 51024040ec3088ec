"""The tables that ``edgecnn_stream.h`` reads."""

from __future__ import annotations

import zlib

from firmware_export.memory.lifetimes import STREAM_POSITION, STREAM_STATE, rows_name
from firmware_export.streaming.tables import tables
from tests.streaming import shadow
from tests.streaming.networks import residual_network, stream_of


def test_tables_of_a_residual() -> None:
    """conv, depthwise, add of both, max pool: readers of a line follow each other."""
    graph = residual_network()
    stream = stream_of(graph, 4, 2, fed=True)
    plan = shadow.planned(stream, graph)
    found = tables(stream, plan, "net")
    names = [node.output for node in graph.nodes]
    assert found["readers"] == [
        {"line": 0, "stage": 0, "first": 0, "size": 4, "step": 2},
        {"line": 1, "stage": 1, "first": 0, "size": 4, "step": 2},
        {"line": 1, "stage": 2, "first": 1, "size": 2, "step": 2},
        {"line": 2, "stage": 2, "first": 0, "size": 2, "step": 2},
        {"line": 3, "stage": 3, "first": 0, "size": 4, "step": 4},
    ]
    lines = found["lines"]
    assert [(x["first_reader"], x["end_reader"]) for x in lines] == [
        (0, 1), (1, 3), (3, 4), (4, 5), (0, 0),
    ]  # fmt: skip
    assert [(x["above"], x["height"], x["below"]) for x in lines] == [
        (1, 12, 1), (1, 12, 1), (0, 12, 0), (0, 12, 0), (0, 6, 0),
    ]  # fmt: skip
    assert [x["row_bytes"] for x in lines] == [32, 64, 64, 64, 32]
    assert lines[0]["fill"] == graph.tensors["in0"].zero_point
    assert lines[1]["offset"] == plan.offsets[rows_name(names[0])]
    assert lines[4]["offset"] == plan.offsets[names[3]]
    assert lines[4]["capacity"] == 6
    # The sum reads what its two branches give in the order of its inputs.
    assert [stage["readers"] for stage in found["stages"]] == [[0], [1], [3, 2], [4]]
    assert [stage["next"] for stage in found["stages"]] == [2, 2, 3, 3]
    assert [stage["output"] for stage in found["stages"]] == [1, 2, 3, 4]
    assert [(s["rows"], s["bands"]) for s in found["stages"]] == [(2, 6), (2, 6), (2, 6), (2, 3)]
    assert (found["rows"], found["row_bytes"]) == (12, 32)
    assert found["state"] == plan.offsets[STREAM_STATE]
    assert found["position"] == plan.offsets[STREAM_POSITION]
    assert found["mark"] == zlib.crc32(b"net")


def test_there_is_no_position_where_no_rows_are_fed() -> None:
    graph = residual_network()
    stream = stream_of(graph, 4, 2)
    assert tables(stream, shadow.planned(stream, graph), "net")["position"] is None
