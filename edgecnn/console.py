"""What the command line prints: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import JustifyMethod
    from rich.table import Table

Row = Sequence[str]

#: Columns of tables that go to a file or a pipe.
PIPE_WIDTH = 160


class Console:
    """Prints results as tables, or as one JSON object; and steps while work goes on.

    Steps show on stderr where that is a terminal, and not with ``quiet``.
    """

    def __init__(self, *, as_json: bool, quiet: bool) -> None:
        from rich.console import Console as RichConsole

        self.as_json = as_json
        self.quiet = quiet
        self.out = RichConsole(highlight=False, soft_wrap=True)
        if not self.out.is_terminal:
            self.out.width = PIPE_WIDTH  # a pipe has no width; tables need not wrap there
        self.err = RichConsole(stderr=True, highlight=False, soft_wrap=True)
        self._status: Any = None

    @contextmanager
    def working(self, text: str) -> Iterator[None]:
        """Show a spinner and the current step on a terminal."""
        if self.quiet or not self.err.is_terminal:
            yield
            return
        with self.err.status(text) as status:
            self._status = status
            try:
                yield
            finally:
                self._status = None

    def step(self, text: str) -> None:
        """Say what begins."""
        if self._status is not None:
            self._status.update(text)

    def note(self, text: str) -> None:
        """Say something on stderr that is not an error."""
        if not self.quiet:
            self.err.print(text, markup=False)

    def json(self, result: Mapping[str, Any]) -> bool:
        """Print the result if JSON was asked for; return whether it was."""
        if self.as_json:
            sys.stdout.write(json.dumps(result, indent=2) + "\n")
        return self.as_json

    def text(self, line: str = "") -> None:
        """Print a line of the result."""
        if not self.as_json and not self.quiet:
            self.out.print(line, markup=False)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Print a table; columns whose name begins with ``>`` are right-aligned."""
        if self.as_json or self.quiet:
            return
        self.out.print(self._table(title, columns, rows))

    def _table(self, title: str, columns: Sequence[str], rows: Sequence[Row]) -> Table:
        from rich.markup import escape
        from rich.table import Table

        table = Table(title=title, title_justify="left", title_style="bold")
        for column in columns:
            right = column.startswith(">")
            justify: JustifyMethod = "right" if right else "left"
            table.add_column(column.removeprefix(">"), justify=justify, overflow="fold")
        for row in rows:
            table.add_row(*(escape(cell) for cell in row))
        return table


def number(value: int) -> str:
    """An integer with thin groups of three: ``12 345``."""
    return f"{value:,}".replace(",", " ")


def percent(value: float | None) -> str:
    """A fraction as per cent, or a dash."""
    return "-" if value is None else f"{100 * value:.2f} %"


def print_error(message: str) -> None:
    """One line on stderr, whatever line breaks and control characters the message has."""
    line = "".join(c if c.isprintable() else "?" for c in " ".join(message.split()))
    sys.stderr.write(f"edgecnn: error: {line}\n")
