"""Renders an export's report: one self-contained HTML page without scripts or network.

The same input gives the same bytes. Names come from model files, so they are cleaned of control
characters, and the template escapes everything that is not one of our own figures.
"""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgecnn.evaluate import Accuracy
from edgecnn.ir import Graph
from edgecnn.macs import macs_of
from edgecnn.operators import Dialect, operator
from edgecnn.parity import ParityReport, RunnerResult
from edgecnn.passes.remove_channels import ChannelReport
from edgecnn.quantization.error import LayerError
from edgecnn.quantization.sensitivity import LayerTable
from edgecnn.simulator import differing_operators
from firmware_export.boards import all_boards
from firmware_export.c_writer import fused_steps
from firmware_export.chooser import Choice
from firmware_export.device.cores import CORES
from firmware_export.device.counting import Count
from firmware_export.device.profile import Profile
from firmware_export.device.qemu import MACHINES
from firmware_export.fit import STACK_ALLOWANCE_BYTES, STARTUP_ALLOWANCE_BYTES, Fit, Share
from firmware_export.memory.plan import Plan
from firmware_export.report_accuracy import (
    confusion_chart,
    layer_rows,
    range_rows,
    ranges_chart,
    weight_rows,
    weights_chart,
)
from firmware_export.report_figures import (
    WEAK_DB,
    Columns,
    cycles_chart,
    decibels,
    kind_of,
    memory_map,
    overwritten,
    sqnr_chart,
    usage,
)
from firmware_export.report_memory import (
    band_rows,
    banded,
    curve_chart,
    curve_rows,
    feed_input,
)
from firmware_export.runners import all_runners
from firmware_export.weight_sizes import WeightSizes, total

#: Thin and unbreakable, so that a number stays one word.
_THIN = "\u202f"
_LONGEST_NAME = 120

_RUNNERS = {
    "tflm": "TensorFlow Lite Micro",
    "tflite": "TensorFlow Lite, reference kernels",
    "litert": "LiteRT, reference kernels",
    "numpy": "edgecnn's integer reference",
    "host-c": "generated C on this host",
    **{core.name: f"generated C on an emulated {core.title}" for core in CORES.values()},
    **{f"qemu-{m.name}": f"generated C booted on QEMU's {m.core.title}" for m in MACHINES},
}


@dataclass(frozen=True, eq=False)
class ReportInput:
    """All that the report shows.

    ``fits`` holds every board that was looked at; ``board`` names the one that was asked for.
    ``profile`` and ``choice`` are there where the network, and kernels for it, were run on an
    emulated core. ``float_io`` says that the files take and give float32.
    ``channels`` tells of the channels that were removed; ``weights`` has the sizes of constants
    by layer. ``layer_table`` has the layers as they were given, each in int8 alone.
    """

    name: str
    command: str
    version: str
    source_sha256: str
    graph: Graph
    plan: Plan
    weight_bytes: int
    file_sizes: Mapping[str, int]
    parity: ParityReport
    accuracy: Accuracy | None
    layer_errors: tuple[LayerError, ...] | None
    fits: Mapping[str, Fit]
    board: str | None
    profile: Profile | None = None
    float_io: bool = False
    choice: Choice | None = None
    channels: ChannelReport | None = None
    weights: Mapping[int, WeightSizes] = field(default_factory=dict)
    layer_table: LayerTable | None = None


def printable(text: str, limit: int = _LONGEST_NAME) -> str:
    """Text from outside with control, direction and unpaired characters made visible, cut."""
    clean = "".join("�" if unicodedata.category(c) in ("Cc", "Cf", "Cs") else c for c in text)
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def number(value: int | float) -> str:
    """Digits in groups of three, with thin spaces."""
    return f"{value:,}".replace(",", _THIN).replace("-", "−")


def _percent(share: float) -> str:
    return f"{100 * share:.2f}{_THIN}%"


def _significant(value: float) -> str:
    return f"{value:.4g}".replace("-", "−")


@functools.cache
def _environment() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("firmware_export", "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=True,
    )
    environment.filters |= {
        "number": number,
        "percent": _percent,
        "printable": printable,
        "significant": _significant,
        "decibels": decibels,
        "cosine": lambda value: f"{value:.6f}".replace("-", "−"),
    }
    return environment


@dataclass(frozen=True)
class _Layer:
    index: int
    op: str
    tensor: str
    shape: str
    macs: int
    weights: WeightSizes
    scale: float | None
    zero_point: int | None
    sqnr_db: float | None
    count: Count | None
    #: The layer that this one is computed in, and counted with.
    inside: int | None


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "scalar"


def _layers(data: ReportInput) -> list[_Layer]:
    known = {error.tensor: error.sqnr_db for error in data.layer_errors or ()}
    counts = {layer.index: layer.count for layer in data.profile.layers} if data.profile else {}
    fused = fused_steps(data.graph, data.choice.selection.layers) if data.choice else {}
    rows = []
    for index, node in enumerate(data.graph.nodes):
        tensor = data.graph.tensors[node.output]
        rows.append(
            _Layer(
                index,
                node.op,
                printable(node.output),
                _shape(tensor.shape),
                macs_of(data.graph, node),
                data.weights.get(index, WeightSizes()),
                tensor.scale if tensor.quant else None,
                tensor.zero_point if tensor.quant else None,
                known.get(node.output),
                counts.get(index),
                fused.get(index),
            )
        )
    return rows


@dataclass(frozen=True)
class _BufferRow:
    number: int
    name: str
    kind: str
    offset: int
    size: int
    first: str
    last: str


def _in_bands(data: ReportInput) -> int:
    """The number of layers in bands of rows."""
    stream = None if data.choice is None else data.choice.stream
    return 0 if stream is None else stream.count


def _buffers(data: ReportInput, names: Mapping[str, str]) -> list[_BufferRow]:
    after, columns = len(data.graph.nodes), Columns(len(data.graph.nodes), _in_bands(data))
    return [
        _BufferRow(
            i,
            names[b.name],
            kind_of(b, data.graph),
            data.plan.offsets[b.name],
            b.size,
            "in" if b.first < 0 else columns.label(b.first),
            "out" if b.last >= after else "in" if b.last < 0 else columns.label(b.last),
        )
        for i, b in enumerate(data.plan.buffers)
    ]


@dataclass(frozen=True)
class _RunnerRow:
    result: RunnerResult
    title: str
    is_reference: bool
    state: str
    first: str
    note: str


def _first_mismatch(result: RunnerResult) -> str:
    first = result.first_mismatch
    if first is None:
        return ""
    index = ", ".join(map(str, first.index))
    values = f"{number(first.expected)} expected, {number(first.got)} computed"
    return f"{printable(first.tensor)} [{index}]: {values}"


def _known_differences(graph: Graph, dialect: Dialect) -> str:
    """What a runtime does otherwise than TFLite Micro in the operators that a network has."""
    ops: dict[str, list[str]] = {}
    for op in differing_operators(graph, dialect):
        known = {**operator(op).wide_differences, **operator(op).differences}
        what = known.get(dialect, "its arithmetic differs")
        ops.setdefault(what, []).append(op)
    return "; ".join(f"in {', '.join(names)} {what}" for what, names in ops.items())


def _note(report: ParityReport, result: RunnerResult, graph: Graph) -> str:
    if not result.available or result.rejected:
        return printable(result.reason, 300)
    notes = (report.cut_short(result), _prediction(result, graph))
    return "; ".join(filter(None, notes))


def _prediction(result: RunnerResult, graph: Graph) -> str:
    if not result.known_differences:
        return ""
    count = number(result.known_differences)
    verb = "value differs" if result.known_differences == 1 else "values differ"
    known = all_runners()
    why = _known_differences(graph, known[result.name].dialect) if result.name in known else ""
    return f"{count} {verb} from the reference exactly as predicted" + (f": {why}" if why else "")


def _state(result: RunnerResult) -> str:
    if result.rejected:
        return "rejects"
    if not result.available or not result.values:
        return "absent"
    return "fail" if result.mismatches else "pass"


def _runners(report: ParityReport, graph: Graph) -> list[_RunnerRow]:
    rows = []
    for result in report.runners:
        state = _state(result)
        rows.append(
            _RunnerRow(
                result,
                _RUNNERS.get(result.name, ""),
                result.name == report.reference,
                state,
                _first_mismatch(result),
                _note(report, result, graph),
            )
        )
    return rows


@dataclass(frozen=True)
class _ShareCell:
    share: Share
    percent: str
    balance: str
    region: str


@dataclass(frozen=True)
class _BoardRow:
    name: str
    title: str
    about: str
    fits: bool
    memories: tuple[_ShareCell, ...]
    is_target: bool


def _cell(share: Share) -> _ShareCell:
    percent = min(100.0, 100 * share.used / max(share.available, 1))
    return _ShareCell(share, f"{percent:.1f}", share.balance(number), printable(share.region.name))


def _boards(data: ReportInput) -> list[_BoardRow]:
    known = all_boards()
    rows = []
    for name, fit in sorted(data.fits.items(), key=lambda item: (item[0] != data.board, item[0])):
        board = known.get(name)
        rows.append(
            _BoardRow(
                printable(name),
                board.title if board else "",
                f"{CORES[board.core].title}, {board.clock_hz / 1e6:g} MHz" if board else "",
                fit.fits,
                (_cell(fit.ram), _cell(fit.flash)),
                name == data.board,
            )
        )
    return rows


@dataclass(frozen=True)
class _KernelRow:
    layers: str
    op: str
    kernel: str
    cycles: int
    code_bytes: int
    weight_bytes: int
    scratch_bytes: int
    is_chosen: bool
    #: Which of the layers are in bands, whose kernels are told elsewhere.
    banded: str


def _kernels(choice: Choice) -> list[_KernelRow]:
    """What was tried, kind of layer by kind of layer; the fastest first."""
    return [
        _KernelRow(
            ", ".join(" + ".join(map(str, member)) for member in tried.group.members),
            tried.group.op,
            trial.kernel,
            trial.cycles,
            trial.code_bytes,
            tried.group.weight_bytes(trial.kernel),
            trial.scratch_bytes,
            trial.kernel == chosen,
            banded(choice, tried.group.covered),
        )
        for tried, chosen in zip(choice.trials, choice.selection.kernels, strict=True)
        for trial in sorted(tried.trials, key=lambda t: t.cycles)
    ]


def _display_names(data: ReportInput) -> dict[str, str]:
    """Buffers and tensors by name, in text that is fit to be shown."""
    names = {name: printable(name) for name in data.graph.tensors}
    names |= {b.name: printable(b.name) for b in data.plan.buffers}
    if data.layer_table is not None:
        names |= {cost.tensor: printable(cost.tensor) for cost in data.layer_table.costs}
    return names


def _accuracy_context(data: ReportInput, names: Mapping[str, str]) -> dict[str, Any]:
    from markupsafe import Markup

    classes = None if data.accuracy is None else data.accuracy.int8_classes
    ranges = range_rows(data.layer_errors, data.graph, names)
    weights = weight_rows(data.graph, names)
    return {
        "classes": classes,
        "confusion_chart": Markup(confusion_chart(classes)),
        "layer_table": data.layer_table,
        "layer_rows": layer_rows(data.layer_table, names),
        "ranges_chart": Markup(ranges_chart(ranges)),
        "ranges": ranges,
        "weights_chart": Markup(weights_chart(weights)),
        "weight_rows": weights,
    }


def _context(data: ReportInput) -> dict[str, Any]:
    from markupsafe import Markup

    names = _display_names(data)
    layers, runners, boards = _layers(data), _runners(data.parity, data.graph), _boards(data)
    errors = data.layer_errors
    target = data.fits.get(data.board) if data.board is not None else None
    points = curve_rows(data.choice)
    return {
        **_accuracy_context(data, names),
        "data": data,
        "layers": layers,
        "weights": total(data.weights),
        "runners": runners,
        "compared": [row for row in runners if row.state in ("pass", "fail")],
        "values": sum(row.result.values for row in runners),
        "known_differences": sum(row.result.known_differences for row in runners),
        "is_cut_short": any(data.parity.cut_short(row.result) for row in runners),
        "remarks": any(row.first or row.note for row in runners),
        "failed": sum(row.state in ("fail", "rejects") for row in runners),
        "reference": _RUNNERS.get(data.parity.reference, data.parity.reference),
        "boards": boards,
        "boards_that_fit": sum(row.fits for row in boards),
        "target": target,
        "target_text": printable(target.explain(number), 1000) if target else "",
        "buffers": _buffers(data, names),
        "busiest": max(usage(data.plan).values(), default=0),
        "overwritten": overwritten(data.plan),
        "macs": sum(layer.macs for layer in layers),
        "passed": data.parity.passed and (target is None or target.fits),
        "ports": [
            (
                kind,
                printable(name),
                data.graph.tensors[name],
                _shape(data.graph.tensors[name].shape),
            )
            for kind, group in (("input", data.graph.inputs), ("output", data.graph.outputs))
            for name in group
        ],
        # The figures are our own: matplotlib escapes the names that it draws.
        "memory_map": Markup(memory_map(data.graph, data.plan, names, _in_bands(data)))
        if data.plan.buffers
        else "",
        "points": points,
        "curve_chart": Markup(curve_chart(points)) if len(points) > 1 else "",
        "bands": band_rows(data.choice, data.graph, names),
        "feed": feed_input(data.choice.stream if data.choice else None),
        "sqnr_chart": Markup(sqnr_chart(errors, names)) if errors else "",
        "error_rows": [(i, names[e.tensor], e) for i, e in enumerate(errors or ())],
        "weak_db": WEAK_DB,
        "stack_allowance": STACK_ALLOWANCE_BYTES,
        "startup_allowance": STARTUP_ALLOWANCE_BYTES,
        "kernels": _kernels(data.choice) if data.choice else [],
        "choice": data.choice,
        "profile": data.profile,
        "cpu_title": CORES[data.profile.cpu].title if data.profile else "",
        "cycles_chart": Markup(cycles_chart(data.profile)) if data.profile else "",
    }


def render(data: ReportInput) -> str:
    """The report as the text of one HTML file.

    Raises nothing of its own; ``data`` must be of one export, so that the plan, the errors and
    the graph name the same tensors.
    """
    text: str = _environment().get_template("report.html.j2").render(_context(data))
    return text
