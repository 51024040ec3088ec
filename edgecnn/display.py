"""Results as tables on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from edgecnn.console import Console, number, percent

if TYPE_CHECKING:
    from edgecnn.evaluate import Accuracy
    from edgecnn.parity import ParityReport


def show_export(console: Console, result: Any) -> None:
    """Print what an export wrote and measured (an ``ExportResult``)."""
    show_parity(console, result.parity)
    if result.accuracy is not None:
        show_accuracy(console, result.accuracy)
    rows = [
        ["arena (RAM)", number(result.memory.arena_bytes)],
        ["weights (flash)", number(result.weight_bytes)],
        [f"{result.name}.tflite", number(result.tflite_bytes)],
    ]
    console.table("Size", ["what", ">bytes"], rows)
    if result.fit is not None:
        show_fits(console, {result.board: result.fit})
    console.text(f"wrote {len(result.files)} files to {result.directory}; see report.html there")


def show_parity(console: Console, report: ParityReport) -> None:
    """Print a `ParityReport`."""
    rows = []
    for r in report.runners:
        if not r.available or r.rejected:
            rows.append([r.name, "-", "-", "-", r.reason])
            continue
        known = f"{number(r.known_differences)} known differences from {report.reference}"
        remark = f"{known}, as predicted" if r.known_differences else ""
        rows.append([r.name, str(r.tensors), number(r.values), number(r.mismatches), remark])
    console.table(
        f"Parity on {report.samples} samples, every tensor",
        ["runner", ">tensors", ">values", ">differing", "remark"],
        rows,
    )
    console.text(report.summary())


def show_accuracy(console: Console, accuracy: Accuracy) -> None:
    """Print an `Accuracy`."""
    rows = [
        ["float", percent(accuracy.float_accuracy)],
        ["int8", percent(accuracy.int8_accuracy)],
        ["agreement", percent(accuracy.agreement)],
    ]
    console.table(f"Accuracy on {number(accuracy.samples)} samples", ["network", ">correct"], rows)


def show_analysis(console: Console, analysis: Any) -> None:
    """Print what a network needs (an ``Analysis``)."""
    rows = [[name, str(count)] for name, count in analysis.operators.items()]
    console.table("Operators", ["operator", ">count"], rows)
    sizes = [
        ["multiply-accumulates", number(analysis.macs)],
        ["parameters", number(analysis.parameters)],
        ["arena (RAM), bytes", number(analysis.arena_bytes)],
        ["weights (flash), bytes", number(analysis.weight_bytes)],
    ]
    console.table("Size", ["what", ">count"], sizes)
    show_fits(console, analysis.boards)


def show_fits(console: Console, fits: Mapping[str, Any]) -> None:
    """Print boards and their ``Fit``: one in words, more as a table."""
    if len(fits) == 1:
        for name, fit in fits.items():
            console.text(f"{name}: {fit.verdict}")
            lines = (fit.ram.explain(number), fit.flash.explain(number), fit.advice())
            console.text("\n".join(filter(None, lines)))
        return
    rows = []
    for name, fit in fits.items():
        ram, flash = (
            (number(share.used), share.balance(number), share.region.name)
            for share in (fit.ram, fit.flash)
        )
        rows.append([name, "yes" if fit.fits else "no", *ram, *flash])
    columns = ["board", "fits", ">RAM used", ">left", "in", ">flash used", ">left", "in"]
    console.table("Boards", columns, rows)
    if fits and not any(fit.fits for fit in fits.values()):
        nearest = min(fits.values(), key=lambda fit: fit.ram.missing + fit.flash.missing)
        console.text(nearest.advice())
