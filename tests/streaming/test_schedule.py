"""The schedule of bands: small cases by hand, and a twin that knows sets of rows only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from edgecnn.errors import InvariantError
from firmware_export.streaming.schedule import Line, Outcome, Reader, Schedule, Stage
from tests.ops.case_table import Rng, draw


def outcome(lines: Sequence[Line], stages: Sequence[Stage]) -> Outcome:
    return Schedule(lines, stages).run()


def image(height: int, above: int = 0, below: int = 0, *, whole: bool = False) -> Line:
    """Rows of ten bytes."""
    return Line("image", 10, height, above, below, 0, whole)


def result(height: int, row_bytes: int = 4, *, whole: bool = True) -> Line:
    """What a stage gives, in rows of four bytes."""
    return Line("result", row_bytes, height, whole=whole)


# --- by hand ------------------------------------------------------------------------------------


def test_a_3x3_convolution_with_padding() -> None:
    """Three rows at a time; each row after the second makes two move up."""
    found = outcome([image(6, 1, 1), result(6)], [Stage((Reader(0, 0, 3, 1),), 1, 1, 6)])
    assert found.capacity == (3, 6)
    # Rows 2 to 5, and the padding below them.
    assert found.moved_bytes == 5 * 2 * 10
    # Padding, and the first row as it comes; then two rows came, and three places are used.
    assert found.lead[0] == 10
    # After row r+1 of the input there are r rows of the output: 4 r - 10 (r + 1), at r = 1.
    assert found.lead[1] == 4 - 20
    assert found.start == 20
    # The input's line is used until all of the output is there.
    assert found.used[0] == (30, 24)
    assert found.used[1] == (30, 24)


def test_without_padding() -> None:
    found = outcome([image(6), result(4)], [Stage((Reader(0, 0, 3, 1),), 1, 1, 4)])
    assert found.capacity == (3, 4)
    assert found.moved_bytes == 3 * 2 * 10
    assert found.lead == (0, 4 - 30)
    assert found.start == 30


def test_stride_2() -> None:
    """SAME of even height: padding below only; a row of overlap moves up for two that come."""
    found = outcome([image(6, 0, 1), result(3)], [Stage((Reader(0, 0, 3, 2),), 1, 1, 3)])
    assert found.capacity == (3, 3)
    # The line is full when rows 3 and 5 come.
    assert found.moved_bytes == 2 * 10
    assert found.start == 30
    assert found.lead == (0, 4 - 30)


def test_a_pool_whose_windows_do_not_overlap() -> None:
    found = outcome([image(6), result(3)], [Stage((Reader(0, 0, 2, 2),), 1, 1, 3)])
    assert found.capacity == (2, 3)
    assert found.moved_bytes == 0


def test_windows_that_leave_rows_out() -> None:
    """1x1 with stride 3: of three rows two are dropped as the next one comes."""
    found = outcome([image(7), result(3)], [Stage((Reader(0, 0, 1, 3),), 1, 1, 3)])
    assert found.capacity == (1, 3)
    assert found.moved_bytes == 0
    assert found.start == 10


def test_bands_of_several_rows() -> None:
    """Bands of three rows need five, of which two remain."""
    found = outcome([image(6, 1, 1), result(6)], [Stage((Reader(0, 0, 5, 3),), 1, 3, 2)])
    assert found.capacity == (5, 6)
    assert found.moved_bytes == 2 * 10
    assert found.start == 40
    # Of the padding's row the input is never ahead until four rows came: 50 - 40.
    assert found.lead[0] == 10


def test_one_band_of_all_rows() -> None:
    found = outcome([image(4, 1, 1), result(4)], [Stage((Reader(0, 0, 6, 4),), 1, 4, 1)])
    assert found.capacity == (6, 4)
    assert found.moved_bytes == 0
    assert found.start == 40
    # The output begins once the input has been taken.
    assert found.lead[1] == -40


def test_a_row_without_change() -> None:
    found = outcome([image(5), result(5)], [Stage((Reader(0, 0, 1, 1),), 1, 1, 5)])
    assert found.capacity == (1, 5)
    assert found.moved_bytes == 0
    assert found.lead == (0, 4 - 10)


def residual(rows: int) -> Outcome:
    """Two 3x3 convolutions, and their input added to what they give, in bands of some rows."""
    bands = 8 // rows
    lines = [
        Line("x", 10, 8, 1, 1),
        Line("a", 10, 8, 1, 1),
        Line("b", 10, 8),
        Line("sum", 10, 8, whole=True),
    ]
    stages = [
        Stage((Reader(0, 0, rows + 2, rows),), 1, rows, bands),
        Stage((Reader(1, 0, rows + 2, rows),), 2, rows, bands),
        Stage((Reader(0, 1, rows, rows), Reader(2, 0, rows, rows)), 3, rows, bands),
    ]
    return outcome(lines, stages)


def test_a_residual() -> None:
    """Rows of the input are read by the first convolution, and again by the sum."""
    found = residual(1)
    # Row r+2 of x comes for row r+1 of a, and that for row r of b, which is added to row r of x.
    assert found.capacity == (3, 3, 1, 8)
    assert found.start == 20
    assert found.lead[3] == 10 - 30
    assert found.used[2] == (30, 30, 10, 80)


def test_a_residual_in_bands_of_two() -> None:
    found = residual(2)
    # b needs rows -1 to 2 of a, so two bands of it: rows 1 to 4 of x, with 0 yet to be added.
    assert found.capacity == (5, 5, 2, 8)
    assert found.start == 30


def test_a_residual_in_one_band() -> None:
    found = residual(8)
    assert found.capacity == (10, 10, 8, 8)
    assert found.moved_bytes == 0


def test_rows_of_a_whole_line_stay() -> None:
    found = outcome(
        [image(6, 1, 1), Line("a", 4, 6, 1, 1, whole=True), result(6)],
        [Stage((Reader(0, 0, 3, 1),), 1, 1, 6), Stage((Reader(1, 0, 3, 1),), 2, 1, 6)],
    )
    assert found.capacity == (3, 8, 6)
    # Those of the input, which is the only one in motion.
    assert found.moved_bytes == 5 * 2 * 10
    # The padding below comes last, when no more rows of the input move.
    assert found.used[0][1] == 4 * 7
    assert found.used[1][1] == 4 * 8


def test_a_line_that_ends_before_another_begins() -> None:
    """A pool over all rows, and a layer after it."""
    found = outcome(
        [image(4), Line("mean", 4, 1), result(1)],
        [Stage((Reader(0, 0, 4, 4),), 1, 1, 1), Stage((Reader(1, 0, 1, 1),), 2, 1, 1)],
    )
    assert found.used[0] == (40, 4, 0)
    assert found.lead == (0, -40, -40)


def test_the_last_stage_that_can_runs_first() -> None:
    """So the line between holds one row, not all that the input allows."""
    found = outcome(
        [image(4), Line("a", 4, 8), result(8)],
        [Stage((Reader(0, 0, 4, 4),), 1, 1, 1), Stage((Reader(1, 0, 1, 1),), 2, 1, 1)],
    )
    assert found.capacity[1] == 1


def test_the_last_reader() -> None:
    schedule = Schedule(
        [image(1)] * 4,
        [
            Stage((Reader(0, 0, 1, 1),), 1, 1, 1),
            Stage((Reader(1, 0, 1, 1),), 2, 1, 1),
            Stage((Reader(1, 0, 1, 1), Reader(2, 0, 1, 1)), 3, 1, 1),
        ],
    )
    assert [schedule.last_reader(i) for i in range(3)] == [2, 2, 2]


def test_rows_that_never_come() -> None:
    with pytest.raises(InvariantError, match="waits for rows that never come"):
        outcome([image(4), result(4)], [Stage((Reader(0, 0, 3, 1),), 1, 1, 4)])


# --- a twin -------------------------------------------------------------------------------------


class Twin:
    """The same rules on sets of rows that are there, and on what each stage has yet to read.

    A line holds all rows from the first one that is still to be read. Run once for the rows of
    each line, and `replayed` with them for the bytes.
    """

    def __init__(self, lines: Sequence[Line], stages: Sequence[Stage]) -> None:
        self.lines, self.stages = lines, stages
        self.came: list[list[int]] = [[] for _ in lines]
        self.to_read = [
            [
                {r.line: set(range(r.first + b * r.step, r.first + b * r.step + r.size))
                 for r in stage.readers}
                for b in range(stage.bands)
            ]
            for stage in stages
        ]  # fmt: skip
        self.most = [0] * len(lines)
        self.taken = 0
        self.start = 0

    def unread(self, line: int) -> int:
        """The first row of a line that a stage has to read, or the one after the last."""
        firsts = []
        for number, stage in enumerate(self.stages):
            for r in stage.readers:
                if r.line == line:
                    done = stage.bands - len(self.to_read[number])
                    firsts.append(r.first + done * r.step)
        return min([*firsts, len(self.came[line])])

    def put(self, line: int, count: int, reads: set[int]) -> None:
        """Rows come, while a stage reads some lines."""
        have = self.came[line]
        if not have:
            have += range(self.lines[line].above)
        first = 0 if self.lines[line].whole else self.unread(line)
        held = sum(row >= first for row in have) + count
        have += range(len(have), len(have) + count)
        self.most[line] = max(self.most[line], held)

    def step(self) -> bool:
        """Run the last stage that can."""
        for number in reversed(range(len(self.stages))):
            bands = self.to_read[number]
            if bands and all(rows <= set(self.came[k]) for k, rows in bands[0].items()):
                self.start = self.start or self.taken
                stage = self.stages[number]
                self.put(stage.output, stage.rows, set(bands[0]))
                bands.pop(0)
                return True
        return False

    def pad(self) -> bool:
        for number, line in enumerate(self.lines):
            if line.above + line.height <= len(self.came[number]) < line.rows:
                self.put(number, 1, set())
                return True
        return False

    def run(self) -> Outcome:
        size = self.lines[0].row_bytes
        for _ in range(self.lines[0].height):
            self.taken += size
            self.put(0, 1, set())
            while self.step() or self.pad():
                pass
        capacity = [
            line.rows if line.whole else rows
            for line, rows in zip(self.lines, self.most, strict=True)
        ]
        return self.replayed(capacity)

    def replayed(self, capacity: Sequence[int]) -> Outcome:
        """Look at all events again, with rows that stay until there is no room."""
        again = Twin(self.lines, self.stages)
        there: list[list[int]] = [[] for _ in self.lines]
        moved, used = 0, [0] * len(self.lines)
        total = self.lines[0].height * self.lines[0].row_bytes
        lead = [-total] * len(self.lines)
        until = [[0] * len(self.lines) for _ in self.lines]

        def put(line: int, count: int, reads: set[int]) -> None:
            nonlocal moved
            have, rows = again.came[line], there[line]
            if not have:
                have += range(self.lines[line].above)
                rows += have
            if len(rows) + count > capacity[line]:
                rows[:] = [row for row in rows if row >= again.unread(line)]
                moved += len(rows) * self.lines[line].row_bytes
            rows += range(len(have), len(have) + count)
            have += range(len(have), len(have) + count)
            assert len(rows) <= capacity[line]
            used[line] = max(used[line], len(rows) * self.lines[line].row_bytes)
            comes = line == 0 and len(have) <= self.lines[0].above + self.lines[0].height
            if again.taken < total or comes:
                lead[line] = max(lead[line], used[line] - again.taken)
            for k in {line, *reads}:
                until[k] = list(used)

        again.put = put  # type: ignore[method-assign]
        for _ in range(self.lines[0].height):
            again.taken += self.lines[0].row_bytes
            again.put(0, 1, set())
            while again.step() or again.pad():
                pass
        return Outcome(
            tuple(capacity), moved, tuple(lead), self.start, tuple(tuple(u) for u in until)
        )


def random_windows(seed: int) -> tuple[list[Line], list[Stage]]:
    """Stages whose windows fit the rows that they read, one to three lines each."""
    rng: Rng = np.random.default_rng(seed)
    heights = [int(rng.integers(1, 20))]
    reads: list[list[tuple[int, int, int, int]]] = []  # of each stage: line, above, size, stride
    for _ in range(int(rng.integers(1, 8))):
        line = max(0, len(heights) - 1 - int(rng.exponential(1.0)))
        alike = [k for k, h in enumerate(heights) if h == heights[line] and k != line]
        size, stride = int(rng.integers(1, 6)), draw(rng, (1, 1, 2, 3))
        above, below = (int(n) for n in rng.integers(0, size, 2))
        if heights[line] + above + below < size:
            size, above, below = 1, 0, 0
        found = [(line, above, size, stride)]
        if size > 1 or not alike or rng.random() < 0.3:
            heights.append((heights[line] + above + below - size) // stride + 1)
        else:
            found = [(line, 0, 1, 1), (draw(rng, alike), 0, 1, 1)]
            heights.append(heights[line])
        reads.append(found)
    above_of = [max([a for r in reads for k, a, *_ in r if k == n], default=0)
                for n in range(len(heights))]  # fmt: skip
    stages = []
    for number, found in enumerate(reads, start=1):
        rows = draw(rng, [n for n in range(1, 5) if heights[number] % n == 0])
        readers = tuple(
            Reader(k, above_of[k] - a, size + (rows - 1) * stride, rows * stride)
            for k, a, size, stride in found
        )
        stages.append(Stage(readers, number, rows, heights[number] // rows))
    lines = []
    for k, height in enumerate(heights):
        ends = [
            r.first + (s.bands - 1) * r.step + r.size
            for s in stages
            for r in s.readers
            if r.line == k
        ]
        below = max([0, *(end - above_of[k] - height for end in ends)])
        whole = k > 0 and (not ends or rng.random() < 0.2)
        lines.append(Line(str(k), int(rng.integers(1, 9)), height, above_of[k], below, 0, whole))
    return lines, stages


def check_twin(seed: int) -> None:
    lines, stages = random_windows(seed)
    assert outcome(lines, stages) == Twin(lines, stages).run()


def test_random_windows_agree_with_the_twin() -> None:
    for seed in range(200):
        check_twin(seed)


@pytest.mark.slow
def test_more_random_windows_agree_with_the_twin() -> None:
    for seed in range(1000, 4000):
        check_twin(seed)


def test_random_windows_are_of_all_kinds() -> None:
    drawn = [random_windows(seed) for seed in range(200)]
    lines = [line for found, _ in drawn for line in found]
    stages = [stage for _, found in drawn for stage in found]
    assert sum(line.above > 0 for line in lines) > 50
    assert sum(line.below > 0 for line in lines) > 50
    assert sum(line.whole and line.rows > 1 for line in lines) > 50
    assert sum(len(stage.readers) > 1 for stage in stages) > 20
    assert sum(stage.rows > 1 for stage in stages) > 50
    assert any(r.step > r.size for stage in stages for r in stage.readers)
