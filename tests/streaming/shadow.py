"""What ``edgecnn_stream.h`` does, on memory whose bytes say what they are instead of a value.

Written from the C and its tables, and knowing nothing of `Schedule`: each byte of the arena holds
the line, the row and the place in it that was last written there. Reading anything else than the
byte that is meant is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgecnn.ir import Array
from firmware_export.memory.lifetimes import STREAM_SCRATCH, problem
from firmware_export.memory.plan import Plan
from firmware_export.memory.planner import plan
from firmware_export.streaming.stream import Stream
from firmware_export.streaming.tables import tables

_INPUT, _SCRATCH, _STATE, _NEVER = -1, -2, -3, -4


class WrongByteError(Exception):
    """Something was read that is not what was meant, or written where something is read."""


def identities(line: int, row: int, rows: int, row_bytes: int) -> Array:
    """What the bytes of some rows are called: an int64 each."""
    return np.arange(row * row_bytes, (row + rows) * row_bytes) * 1000 + line


class Shadow:
    """An arena, and the tables of a stream on it.

    ``input_offset`` is None where rows are fed. ``scratch`` is (offset, bytes).
    """

    def __init__(
        self,
        given: Mapping[str, Any],
        arena_bytes: int,
        input_offset: int | None,
        scratch: tuple[int, int],
    ) -> None:
        self.lines, self.readers, self.stages = given["lines"], given["readers"], given["stages"]
        self.memory = np.full(arena_bytes, _NEVER, np.int64)
        self.scratch = slice(scratch[0], sum(scratch))
        words = 2 * len(self.lines) + len(self.stages)
        self.state = slice(given["state"], given["state"] + 2 * words)
        self.input_offset = input_offset
        if input_offset is not None:
            rows = self.lines[0]["height"]
            self._write(input_offset, identities(_INPUT, 0, rows, self.row_bytes))
        self.memory[self.state] = _STATE
        self.base, self.end = [0] * len(self.lines), [0] * len(self.lines)
        self.done = [0] * len(self.stages)

    @property
    def row_bytes(self) -> int:
        """Bytes of a row of the input."""
        return int(self.lines[0]["row_bytes"])

    # --- memory -------------------------------------------------------------------------------

    def _write(self, offset: int, what: Array) -> None:
        if offset < 0 or offset + len(what) > len(self.memory):
            raise WrongByteError(f"{len(what)} bytes at {offset} leave the arena")
        self.memory[offset : offset + len(what)] = what

    def _expect(self, offset: int, what: Array, title: str) -> None:
        if not np.array_equal(self.memory[offset : offset + len(what)], what):
            raise WrongByteError(f"{title} are not at {offset}")

    def _rows(self, line: int, row: int, rows: int) -> Array:
        return identities(line, row, rows, self.lines[line]["row_bytes"])

    # --- the functions of the header, by their names -------------------------------------------

    def needed(self, line: int) -> int:
        needed = self.end[line]
        for i in range(self.lines[line]["first_reader"], self.lines[line]["end_reader"]):
            r = self.readers[i]
            needed = min(needed, r["first"] + self.done[r["stage"]] * r["step"])
        return needed

    def room(self, line: int, rows: int) -> int:
        at = self.lines[line]
        size, first = at["row_bytes"], at["offset"]
        if self.end[line] == 0:
            self._write(first, self._rows(line, 0, at["above"]))
            self.end[line] = at["above"]
        end, base = self.end[line], self.base[line]
        if end - base + rows > at["capacity"]:
            needed = self.needed(line)
            kept = self._rows(line, needed, end - needed)
            self._expect(first + (needed - base) * size, kept, f"rows of line {line} that move")
            self._write(first, kept)
            self.base[line] = base = needed
        if end - base + rows > at["capacity"]:
            raise WrongByteError(f"line {line} has no room")
        return int(first + (end - base) * size)

    def rows(self, reader: Mapping[str, int]) -> tuple[int, Array] | None:
        line = reader["line"]
        start = reader["first"] + self.done[reader["stage"]] * reader["step"]
        if start + reader["size"] > self.end[line]:
            return None
        at = self.lines[line]
        if start < self.base[line]:
            raise WrongByteError(f"rows of line {line} from {start} on are gone")
        offset = at["offset"] + (start - self.base[line]) * at["row_bytes"]
        return offset, self._rows(line, start, reader["size"])

    def band(self, stage: int) -> bool:
        t = self.stages[stage]
        if self.done[stage] == t["bands"]:
            return False
        found = [self.rows(self.readers[i]) for i in t["readers"]]
        inputs = [rows for rows in found if rows is not None]
        if len(inputs) < len(found):
            return False
        output = self.room(t["output"], t["rows"])
        # Both are written while the inputs are read.
        written = self._rows(t["output"], self.end[t["output"]], t["rows"])
        self._write(output, written)
        self.memory[self.scratch] = _SCRATCH
        for offset, what in inputs:
            self._expect(offset, what, f"inputs of stage {stage}")
        self._expect(output, written, f"outputs of stage {stage}, which its scratch shares,")
        self.done[stage] += 1
        self.end[t["output"]] += t["rows"]
        return True

    def drain(self) -> None:
        left = len(self.stages)
        while left > 0:
            left = self.stages[left - 1]["next"] + 1 if self.band(left - 1) else left - 1

    def pad(self) -> bool:
        for line, at in enumerate(self.lines):
            last = at["above"] + at["height"]
            if last <= self.end[line] < last + at["below"]:
                self._write(self.room(line, 1), self._rows(line, self.end[line], 1))
                self.end[line] += 1
                return True
        return False

    def take(self, row: int) -> None:
        """``edgecnn_stream_row``."""
        to, size = self.room(0, 1), self.row_bytes
        if self.input_offset is not None:
            start = self.input_offset + row * size
            if start < to < start + size:
                raise WrongByteError("a row of the input is copied up over itself")
            what = identities(_INPUT, row, 1, size)
            self._expect(start, what, f"row {row} of the input")
        self._write(to, self._rows(0, self.end[0], 1))
        self.end[0] += 1
        self.drain()
        while self.pad():
            self.drain()

    def run(self) -> None:
        """All rows. Then the state is still there, and so are tensors that are kept whole."""
        for row in range(self.lines[0]["height"]):
            self.take(row)
        for number, stage in enumerate(self.stages):
            if self.done[number] != stage["bands"]:
                raise WrongByteError(f"stage {number} has not ended")
        if np.any(self.memory[self.state] != _STATE):
            raise WrongByteError("the state was written over")

    def check_whole(self, line: int) -> None:
        """All rows of a line are there, but for padding."""
        at = self.lines[line]
        rows = self._rows(line, at["above"], at["height"])
        self._expect(at["offset"] + at["above"] * at["row_bytes"], rows, f"line {line}")


def planned(stream: Stream, graph: Any) -> Plan:
    """Where the buffers of a network are, by the planner."""
    return plan(problem(graph, {}, {}, stream))


def run(stream: Stream, found: Plan, input_name: str) -> None:
    """Run a stream on a plan, and look at what is there at the end."""
    offsets = found.offsets
    shadow = Shadow(
        tables(stream, found, "net"),
        found.arena_bytes,
        None if stream.is_fed else offsets[input_name],
        (offsets.get(STREAM_SCRATCH, 0), stream.scratch_bytes),
    )
    shadow.run()
    for number, line in enumerate(stream.lines):
        if line.whole:
            shadow.check_whole(number)
