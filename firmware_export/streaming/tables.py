"""A stream as the tables of ``edgecnn_stream.h``, and its stages as functions of C."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from edgecnn.ir import Graph
from firmware_export.memory.lifetimes import STREAM_POSITION, STREAM_STATE, rows_name
from firmware_export.memory.plan import Plan
from firmware_export.streaming.schedule import Schedule
from firmware_export.streaming.stream import Stream


class CallWriter(Protocol):
    """What gives the calls of layers."""

    graph: Graph

    @property
    def index(self) -> Mapping[str, int]:
        """The numbers of tensors."""

    def call(self, step: int, places: Mapping[str, str] | None = None) -> Any:
        """The call of a layer whose inputs and output are at some pointers."""


@dataclass(frozen=True, eq=False)
class StageCalls:
    """The function of a stage: calls, and for each the number of its tensor and its bytes."""

    number: int
    calls: list[Any]
    traces: list[tuple[int, int]]


def stage_calls(writer: CallWriter, stream: Stream | None) -> list[StageCalls]:
    """The functions of the stages of a stream; none where there is none."""
    if stream is None:
        return []
    graph, found = writer.graph, []
    for number, (members, inputs) in enumerate(zip(stream.members, stream.inputs, strict=True)):
        inside = {graph.nodes[step].output for step in members}
        calls, traces = [], []
        for step in members:
            node = graph.nodes[step]
            places = {
                name: "output" if name in inside else f"inputs[{inputs[step, name]}]"
                for name in (*graph.activation_inputs(node), node.output)
            }
            calls.append(writer.call(step, places))
            tensor = graph.tensors[node.output]
            rows = stream.stages[number].rows
            traces.append((writer.index[node.output], rows * tensor.nbytes // tensor.shape[1]))
        found.append(StageCalls(number, calls, traces))
    return found


def tables(stream: Stream, plan: Plan, name: str) -> dict[str, Any]:
    """The tables of network ``name`` as the template reads them: fields of each struct."""
    schedule = Schedule(stream.lines, stream.stages)
    readers = sorted(
        (reader.line, stage, position)
        for stage, s in enumerate(stream.stages)
        for position, reader in enumerate(s.readers)
    )
    numbers = {(stage, position): i for i, (_, stage, position) in enumerate(readers)}
    return {
        "lines": [
            _line(stream, plan, i, [r[0] for r in readers]) for i in range(len(stream.lines))
        ],
        "readers": [
            {"line": line, "stage": stage}
            | {
                field: getattr(stream.stages[stage].readers[position], field)
                for field in ("first", "size", "step")
            }
            for line, stage, position in readers
        ],
        "stages": [
            {
                "run": f"{name}_stage_{i}",
                "inputs": len(stage.readers),
                "readers": [numbers[i, position] for position in range(len(stage.readers))],
                "output": stage.output,
                "rows": stage.rows,
                "bands": stage.bands,
                "next": schedule.last_reader(i),
            }
            for i, stage in enumerate(stream.stages)
        ],
        "state": plan.offsets[STREAM_STATE],
        "mark": zlib.crc32(name.encode()),
        "position": plan.offsets.get(STREAM_POSITION),
        "rows": stream.lines[0].height,
        "row_bytes": stream.lines[0].row_bytes,
    }


def _line(stream: Stream, plan: Plan, number: int, lines_of_readers: list[int]) -> dict[str, Any]:
    line = stream.lines[number]
    reading = [i for i, n in enumerate(lines_of_readers) if n == number]
    return {
        "offset": plan.offsets[line.tensor if line.whole else rows_name(line.tensor)],
        "row_bytes": line.row_bytes,
        "capacity": stream.outcome.capacity[number],
        "above": line.above,
        "height": line.height,
        "below": line.below,
        "first_reader": reading[0] if reading else 0,
        "end_reader": reading[-1] + 1 if reading else 0,
        "fill": line.fill,
    }
