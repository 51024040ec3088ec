"""The order in which bands of rows are computed, and the rows that are there meanwhile.

What `Schedule` does on numbers ``edgecnn_stream.h`` does on rows, step by step: a row of the
input comes, and then, again and again, the last stage that has the rows for its next band runs,
until there is none; then a row of padding goes below the first tensor that has come whole, and so
on. A stage takes rows from lines and puts rows in one. A line holds a number of rows of a tensor;
where there is no room for more, those that no stage needs any more make place. Until its first
row comes, and the padding above with it, a line's memory is free for others.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgecnn.errors import InvariantError


@dataclass(frozen=True)
class Line:
    """Rows of a tensor, with rows of padding ``above`` and ``below`` it.

    Places of rows count from the first one above. A line that is ``whole`` keeps all.
    """

    tensor: str
    row_bytes: int
    height: int
    above: int = 0
    below: int = 0
    fill: int = 0
    whole: bool = False

    @property
    def rows(self) -> int:
        """All rows, with those above and below."""
        return self.above + self.height + self.below


@dataclass(frozen=True)
class Reader:
    """How a stage reads a line.

    For its first band ``size`` rows from ``first`` on, then ``step`` rows further down each time.
    """

    line: int
    first: int
    size: int
    step: int


@dataclass(frozen=True)
class Stage:
    """A layer that computes ``rows`` rows of a line at a time, ``bands`` times."""

    readers: tuple[Reader, ...]
    output: int
    rows: int
    bands: int


@dataclass(frozen=True)
class Outcome:
    """What a schedule takes.

    ``capacity`` has the rows that each line has to hold; ``moved_bytes`` go up in them to make
    place. ``lead`` has for each line by how many bytes, at most, those of it that have been used
    outnumber those of the input that have been taken, the row included that is just being taken,
    as long as not all have been; it is negative where the input is always ahead. When the first
    stage runs ``start`` bytes of the input have been. ``used[i][k]`` is how many bytes of line k
    have been used when line i is for the last time, 0 where it has not begun.
    """

    capacity: tuple[int, ...]
    moved_bytes: int
    lead: tuple[int, ...]
    start: int
    used: tuple[tuple[int, ...], ...]


class Schedule:
    """Runs over all rows. Line 0 is that of the input; stages are in execution order."""

    def __init__(self, lines: Sequence[Line], stages: Sequence[Stage]) -> None:
        self.lines, self.stages = lines, stages
        #: For each line its readers, with their stages, in order.
        self.readers: list[list[tuple[int, Reader]]] = [[] for _ in lines]
        for i, stage in enumerate(stages):
            for reader in stage.readers:
                self.readers[reader.line].append((i, reader))

    def run(self) -> Outcome:
        """Feed row after row, and see: once for the capacity, and once with it for the rest."""
        needed = _Run(self, None)
        needed.feed()
        capacity = tuple(
            line.rows if line.whole else rows
            for line, rows in zip(self.lines, needed.most, strict=True)
        )
        real = _Run(self, capacity)
        real.feed()
        used = tuple(map(tuple, real.used_until))
        return Outcome(capacity, real.moved_bytes, tuple(real.lead), real.start, used)

    def last_reader(self, i: int) -> int:
        """The last stage that reads what a stage writes; itself where none does."""
        reading = self.readers[self.stages[i].output]
        return reading[-1][0] if reading else i


class _Run:
    """One run; without ``capacity`` rows that no stage needs any more make place at once."""

    def __init__(self, schedule: Schedule, capacity: Sequence[int] | None) -> None:
        self.schedule, self.capacity = schedule, capacity
        self.lines, self.stages = schedule.lines, schedule.stages
        self.base = [0] * len(self.lines)
        self.end = [0] * len(self.lines)
        self.done = [0] * len(self.stages)
        self.most = [0] * len(self.lines)
        self.moved_bytes = 0
        self.taken = 0
        self.is_input_needed = True
        self.start = 0
        self.used = [0] * len(self.lines)
        self.lead = [-self.lines[0].height * self.lines[0].row_bytes] * len(self.lines)
        self.used_until = [list(self.used) for _ in self.lines]

    def feed(self) -> None:
        """All rows of the input."""
        for row in range(self.lines[0].height):
            self.taken = (row + 1) * self.lines[0].row_bytes
            self._append(0, 1)
            self.is_input_needed = row + 1 < self.lines[0].height
            self._drain()
            while self._pad():
                self._drain()
        if any(d < s.bands for d, s in zip(self.done, self.stages, strict=True)):
            raise InvariantError("a stage of the stream waits for rows that never come")

    def _drain(self) -> None:
        left = len(self.stages)
        while left > 0:
            stage = self.stages[left - 1]
            if not self._is_ready(left - 1):
                left -= 1
                continue
            self.start = self.start or self.taken
            self._append(stage.output, stage.rows)
            for reader in stage.readers:
                self.used_until[reader.line] = list(self.used)
            self.done[left - 1] += 1
            left = self.schedule.last_reader(left - 1) + 1

    def _pad(self) -> bool:
        """Put a row of padding below the first tensor that has come and wants one."""
        for number, line in enumerate(self.lines):
            if line.above + line.height <= self.end[number] < line.rows:
                self._append(number, 1)
                return True
        return False

    def _is_ready(self, i: int) -> bool:
        stage, done = self.stages[i], self.done[i]
        return done < stage.bands and all(
            r.first + done * r.step + r.size <= self.end[r.line] for r in stage.readers
        )

    def _append(self, number: int, rows: int) -> None:
        line = self.lines[number]
        end = self.end[number] = self.end[number] or line.above
        needed = self._needed_from(number)
        if self.capacity is None or end - self.base[number] + rows > self.capacity[number]:
            self.moved_bytes += (end - needed) * line.row_bytes
            self.base[number] = needed
        self.end[number] += rows
        held = self.end[number] - self.base[number]
        self.most[number] = max(self.most[number], held)
        self.used[number] = max(self.used[number], held * line.row_bytes)
        if self.is_input_needed:
            self.lead[number] = max(self.lead[number], self.used[number] - self.taken)
        self.used_until[number] = list(self.used)

    def _needed_from(self, number: int) -> int:
        """The first row that a stage still needs; the end if none does."""
        if self.lines[number].whole:
            return self.base[number]
        needed = self.end[number]
        for i, r in self.schedule.readers[number]:
            needed = min(needed, r.first + self.done[i] * r.step)
        return needed
