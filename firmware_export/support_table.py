"""The table of what is supported where, read off the code itself."""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable
from typing import Any

from edgecnn.frontends import ops
from edgecnn.frontends.spelling import importers
from edgecnn.operators import Operator, OutputRange, operators

COLUMNS = ("operator", "torch", "ONNX", "TFLite in", "TFLite out and C", "quantization", "notes")


def _sources(table: dict[str, Callable[..., Any]], stem: str) -> str:
    """The source operators whose importer lives in the module of that stem."""
    names = [n for n, f in table.items() if f.__module__.rpartition(".")[2] == stem]
    return ", ".join(sorted({re.sub(r"\.\w+$", "", name) for name in names})) or "-"


def _quantization(op: Operator[Any, Any]) -> str:
    if op.is_float_only:
        return "-"
    if op.weights_axis is not None:
        scales = "per channel" if op.per_channel else "per tensor"
        return f"weights symmetric {scales}, output calibrated"
    if op.output_range is OutputRange.FIXED:
        return "output fixed"
    return f"output {op.output_range.value}"


def _last_cells(name: str) -> tuple[str, str, str]:
    """What becomes of an operator, or of source operators that importers write as other ones."""
    op = operators().get(name)
    if op is None:
        summary = inspect.getdoc(importlib.import_module(f"{ops.__name__}.{name}")) or ""
        return "as other operators", "-", summary.splitlines()[0].rstrip(".")
    return "folded away" if op.is_float_only else "yes", _quantization(op), op.summary


def rows() -> list[tuple[str, ...]]:
    """One row an operator or importer, in alphabetical order; cells as in `COLUMNS`."""
    tables = importers()
    sources = (tables.aten, tables.onnx, tables.tflite)
    stems = {f.__module__.rpartition(".")[2] for table in sources for f in table.values()}
    return [
        (name, *(_sources(table, name) for table in sources), *_last_cells(name))
        for name in sorted({*operators(), *stems})
    ]


def markdown() -> str:
    """The table as Markdown, for README."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + " --- |" * len(COLUMNS)]
    lines += ["| " + " | ".join(row) + " |" for row in rows()]
    return "\n".join(lines) + "\n"
