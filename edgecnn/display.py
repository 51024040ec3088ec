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
    if result.quantized is not None:
        console.text(result.quantized.summary())
    if result.channels is not None:
        console.text(result.channels.summary())
    rows = [
        [f"arena (RAM), {_proof(result.memory)}", number(result.memory.arena_bytes)],
        ["weights (flash)", number(result.weight_bytes)],
        [f"{result.name}.tflite", number(result.tflite_bytes)],
    ]
    console.table("Size", ["what", ">bytes"], rows)
    if result.choice is not None:
        show_bands(console, result.choice, result.memory.arena_bytes)
    if result.fit is not None:
        show_fits(console, {result.board: result.fit})
    if result.profile is not None:
        _show_total(console, result.profile)
    console.text(f"wrote {len(result.files)} files to {result.directory}; see report.html there")


def show_bands(console: Console, choice: Any, arena_bytes: int) -> None:
    """Print in a line which layers of a ``Choice`` are in bands, and what arenas there are."""
    bands = choice.bands_to_json()
    words = []
    if bands:
        rows = sorted({band["rows"] for band in bands})
        span = number(rows[0]) if len(rows) == 1 else f"{number(rows[0])} to {number(rows[-1])}"
        layers = "1 layer" if len(bands) == 1 else f"{number(len(bands))} layers"
        words.append(f"{layers} in bands of {span} row{'' if rows == [1] else 's'}")
    if len(choice.curve) > 1:
        arenas = [point.arena_bytes for point in choice.curve]
        words.append(
            f"arena {number(arena_bytes)} bytes, of {len(arenas)} from {number(min(arenas))} to "
            f"{number(max(arenas))} that --ram-limit picks from"
        )
    if words:
        console.text("; ".join(words))


def show_shared_export(console: Console, result: Any) -> None:
    """Print what an export of several networks wrote and measured (a ``SharedExport``)."""
    for network in result.networks:
        console.text(f"\n{network.name}")
        show_export(console, network)
    console.text()
    rows = [
        [network.name, number(network.memory.arena_bytes), number(network.weight_bytes)]
        for network in result.networks
    ]
    weights = sum(network.weight_bytes for network in result.networks)
    rows.append(["together", number(result.arena_bytes), number(weights)])
    columns = ["network", ">arena (RAM), bytes", ">weights (flash), bytes"]
    console.table("One arena for all", columns, rows)
    if result.fit is not None:
        verdict = "the networks fit" if result.fit.fits else "the networks do not fit"
        _show_fit(console, f"{result.board}: {verdict} together", result.fit)


def _proof(plan: Any) -> str:
    """How good a memory plan is known to be."""
    return "optimal: proved" if plan.is_optimal else f"at most {number(plan.gap)} above the optimum"


def show_parity(console: Console, report: ParityReport) -> None:
    """Print a `ParityReport`."""
    rows = []
    for r in report.runners:
        if not r.available or r.rejected:
            rows.append([r.name, "-", "-", "-", r.reason])
            continue
        known = f"{number(r.known_differences)} known differences from {report.reference}"
        predicted = f"{known}, as predicted" if r.known_differences else ""
        remark = "; ".join(filter(None, (report.cut_short(r), predicted)))
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
            _show_fit(console, f"{name}: {fit.verdict}", fit)
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


def _show_fit(console: Console, verdict: str, fit: Any) -> None:
    """Print in words how a network fits one board."""
    lines = (verdict, fit.ram.explain(number), fit.flash.explain(number), fit.advice())
    console.text("\n".join(filter(None, lines)))


def show_profile(console: Console, profile: Any) -> None:
    """Print a ``Profile``: a row each layer, the total, and the sizes."""
    columns = [
        "layer",
        ">MACs",
        ">cycles",
        ">instructions",
        ">MAC/cycle",
        ">flash read",
        ">RAM read",
        ">RAM written",
    ]
    rows = [
        _profile_row(f"{layer.index} {layer.op}", layer.macs, layer.count)
        for layer in profile.layers
    ]
    rows.append(_profile_row("total", profile.macs, profile.total))
    estimate = " (estimated)" if profile.is_estimate else ""
    console.table(f"One inference on {profile.cpu}{estimate}, {profile.compiler}", columns, rows)
    sizes = [
        ["arena", number(profile.arena_bytes)],
        ["stack", number(profile.stack_bytes)],
        ["code", number(profile.code_bytes)],
        ["weights", number(profile.weight_bytes)],
    ]
    console.table("Memory", ["what", ">bytes"], sizes)
    _show_time(console, profile.time)


def _profile_row(name: str, macs: int, count: Any) -> list[str]:
    per_cycle = f"{macs / count.cycles:.3f}" if macs and count.cycles else "-"
    traffic = (count.flash_reads, count.ram_reads, count.ram_writes)
    return [
        name, number(macs), number(count.cycles), number(count.instructions), per_cycle,
        *map(number, traffic),
    ]  # fmt: skip


def show_function_profile(console: Console, profile: Any) -> None:
    """Print a ``FunctionProfile``."""
    estimate = " (estimated)" if profile.is_estimate else ""
    rows = [
        ["cycles", number(profile.count.cycles)],
        ["instructions", number(profile.count.instructions)],
        ["bytes read from flash", number(profile.count.flash_reads)],
        ["bytes read from RAM", number(profile.count.ram_reads)],
        ["bytes written to RAM", number(profile.count.ram_writes)],
        ["bytes of stack", number(profile.stack_bytes)],
        ["result", str(profile.result)],
    ]
    console.table(f"{profile.function} on {profile.cpu}{estimate}", ["what", ">count"], rows)
    _show_time(console, profile.time)


def _show_total(console: Console, profile: Any) -> None:
    """Print in a line what one inference takes."""
    estimate = " by an estimate" if profile.is_estimate else ""
    console.text(
        f"{number(profile.total.cycles)} cycles on an emulated {profile.cpu}{estimate} "
        f"({profile.compiler}), {number(profile.stack_bytes)} bytes of stack; "
        "'edgecnn profile' shows them by layer"
    )
    _show_time(console, profile.time)


def _show_time(console: Console, time: Any) -> None:
    if time is not None:
        console.text(
            f"{time.fastest:.2f} to {time.slowest:.2f} ms at {time.clock_hz / 1e6:g} MHz by a "
            "model: from no wait states to those of the flash at every word"
        )
