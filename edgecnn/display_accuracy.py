"""What evaluations found, as tables on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edgecnn.console import Console, number, percent
from edgecnn.display import show_accuracy
from edgecnn.evaluate import Accuracy
from edgecnn.metrics import AnomalyScores, RegressionScores

if TYPE_CHECKING:
    from edgecnn.compare import Comparison
    from edgecnn.evaluate import Errors
    from edgecnn.quantization.sensitivity import LayerTable

#: Confusion matrices of more classes do not fit a terminal.
MATRIX_CLASSES = 16
#: Longest name of a tensor: those of fused layers have hundreds of letters.
NAME = 44


def show_evaluation(console: Console, found: Accuracy | Errors) -> None:
    """Print what an evaluation found."""
    if isinstance(found, Accuracy):
        show_accuracy(console, found)
        if found.int8_classes is not None:
            _show_matrix(console, "Classes of int8", found.int8_classes.confusion)
        return
    networks = [("float", found.float_scores), ("int8", found.int8_scores)]
    scores = [(name, score) for name, score in networks if score is not None]
    title = f"{found.task.value.capitalize()} on {number(found.samples)} samples"
    if isinstance(found.int8_scores, AnomalyScores):
        columns = ["network", ">area under the ROC curve", ">error, normal", ">error, anomalies"]
    else:
        columns = ["network", ">mean absolute error", ">mean squared error", ">R2"]
    console.table(title, columns, [[name, *_cells(score)] for name, score in scores])


def _cells(scores: RegressionScores | AnomalyScores) -> list[str]:
    values = vars(scores).values()
    return ["-" if value is None else f"{value:.6g}" for value in values]


def _show_matrix(console: Console, title: str, matrix: Sequence[Sequence[int]]) -> None:
    """Rows are labels, columns what the network named."""
    if len(matrix) > MATRIX_CLASSES:
        return
    columns = ["label", *(f">{i}" for i in range(len(matrix)))]
    rows = [[str(i), *(number(n) if n else "." for n in row)] for i, row in enumerate(matrix)]
    console.table(title, columns, rows)


def show_comparison(console: Console, found: Comparison) -> None:
    """Print a `Comparison`."""
    rows = [
        [f"{network.name} ({network.kind})", percent(network.scores.accuracy), number(only)]
        for network, only in (
            (found.first, found.only_first),
            (found.second, found.only_second),
        )
    ]
    title = f"Two networks on {number(found.samples)} samples"
    console.table(title, ["network", ">correct", ">only it is right"], rows)
    console.text(
        f"both name the same class on {percent(found.agreement)} of the samples; McNemar's exact "
        f"test: p = {found.p_value:.4g}"
    )
    _show_matrix(console, "Confusion, second less first", found.confusion_difference)


def show_layers(console: Console, table: LayerTable) -> None:
    """Print a `LayerTable`: a row for each input and layer."""
    known = {error.tensor: error for error in table.errors}
    worst = table.costliest
    rows = []
    for cost in table.costs:
        error = known.get(cost.tensor)
        so_far = ("-", "-") if error is None else (_decibels(error.sqnr_db), _cosine(error.cosine))
        mark = "costs most" if cost is worst else ""
        alone = (_decibels(cost.sqnr_db), _cosine(cost.cosine), percent(cost.accuracy))
        name = cost.tensor if len(cost.tensor) <= NAME else f"{cost.tensor[: NAME - 1]}…"
        rows.append([f"{cost.op} {name}", *so_far, *alone, mark])
    columns = [
        "layer", ">SQNR here, dB", ">cosine", ">alone: output SQNR, dB", ">cosine", ">correct", "",
    ]  # fmt: skip
    title = f"Layers on {number(table.samples)} samples"
    if table.accuracy is not None:
        title += f", of which the float network has {percent(table.accuracy)} right"
    console.table(title, columns, rows)


def _decibels(value: float) -> str:
    return f"{value:.1f}"


def _cosine(value: float | None) -> str:
    return "-" if value is None else f"{value:.6f}"
