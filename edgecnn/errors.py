"""Everything edgecnn raises on purpose, and the exit status that each leads to.

    EdgecnnError                   70  a fault of ours unless a subclass says otherwise
    ├── UserError                   2  the input or the call is wrong
    │   ├── ModelFormatError           a file that is not the model that it claims to be
    │   ├── UnsupportedError           operators that cannot be exported exactly, all of them
    │   ├── DataError                  calibration or evaluation data that cannot be used
    │   └── OutputError                a place that cannot be written
    ├── CheckError                  1  a check failed
    │   ├── ParityError                two runners disagree
    │   └── FitError                   the network does not fit the board
    └── InvariantError             70  a graph, a plan or a runner broke a rule of ours
        └── GeneratedCodeError         C that does not compile, or does not end as it must

An exit status belongs to the class, so a caller needs no table of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar


class EdgecnnError(Exception):
    """Base of every exception that edgecnn raises on purpose."""

    exit_code: ClassVar[int] = 70


class UserError(EdgecnnError):
    """The input or the call is wrong; the message says what to change."""

    exit_code = 2


class ModelFormatError(UserError):
    """A model file is truncated, corrupted, of a foreign format or malformed."""


class DataError(UserError):
    """Calibration or evaluation data is missing, empty, misshapen or not finite."""


class OutputError(UserError):
    """The output folder or file cannot be written."""


class CheckError(EdgecnnError):
    """A check that the command promises did not hold."""

    exit_code = 1


class ParityError(CheckError):
    """A runner computed bytes that differ from the reference; ``report`` is the whole result."""

    def __init__(self, message: str, report: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.report = report


class FitError(CheckError):
    """The network needs more flash or RAM than the board has."""


class InvariantError(EdgecnnError):
    """A rule that edgecnn keeps by itself was broken."""


class GeneratedCodeError(InvariantError):
    """Generated C does not compile, or does not end as it must."""


@dataclass(frozen=True)
class Problem:
    """One operator that cannot be exported: where it is, why, and what to use instead."""

    operator: str
    tensor: str
    reason: str
    substitute: str = ""

    def __str__(self) -> str:
        hint = f" ({self.substitute})" if self.substitute else ""
        return f"{self.operator} at '{self.tensor}': {self.reason}{hint}"


#: With more operators of a kind for one reason, only the first is named; and the length to which
#: names are cut (fused layers have names of hundreds of characters).
_NAMED = 4
_NAME_LENGTH = 80


def _places(operator: str, tensors: Sequence[str]) -> str:
    """An operator and where it is, such as ``RELU at 'a', 'b'``."""
    named = tensors if len(tensors) <= _NAMED else tensors[:1]
    short = [t if len(t) <= _NAME_LENGTH else f"{t[: _NAME_LENGTH - 3]}..." for t in named]
    more = f" and {len(tensors) - len(named)} more" if len(named) < len(tensors) else ""
    return f"{operator} at " + ", ".join(f"'{tensor}'" for tensor in short) + more


def _grouped(problems: Sequence[Problem]) -> str:
    """One text for each reason, with the operators that have it."""
    groups: dict[tuple[str, str], dict[str, list[str]]] = {}
    for problem in problems:
        operators = groups.setdefault((problem.reason, problem.substitute), {})
        operators.setdefault(problem.operator, []).append(problem.tensor)
    texts = []
    for (reason, substitute), operators in groups.items():
        places = ", ".join(_places(operator, tensors) for operator, tensors in operators.items())
        texts.append(f"{places}: {reason}" + (f" ({substitute})" if substitute else ""))
    return "; ".join(texts)


class UnsupportedError(UserError):
    """The model holds operators that cannot be exported exactly.

    ``problems`` has every one of them; the message has every reason and kind of operator.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        noun = "operator" if count == 1 else "operators"
        super().__init__(f"{count} unsupported {noun}: " + _grouped(self.problems))
