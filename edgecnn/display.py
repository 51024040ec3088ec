"""Results as tables on a terminal."""

from __future__ import annotations

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
    if result.fit is not None:
        fit = result.fit
        rows += [
            ["RAM of the board's", f"{number(fit.ram_used)} of {number(fit.ram_available)}"],
            [
                "flash used of the board's",
                f"{number(fit.flash_used)} of {number(fit.flash_available)}",
            ],
        ]
    console.table("Size", ["what", ">bytes"], rows)
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
    boards = [
        [
            name,
            "yes" if fit.fits else "no",
            number(fit.ram_used),
            number(fit.ram_available),
            number(fit.flash_used),
            number(fit.flash_available),
        ]
        for name, fit in analysis.boards.items()
    ]
    columns = ["board", "fits", ">RAM used", ">RAM there", ">flash used", ">flash there"]
    console.table("Boards", columns, boards)
