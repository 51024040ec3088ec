"""Picks a kernel for each layer by running all that can compute it on the emulated core."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from edgecnn.ir import INT8, INT32, Graph
from firmware_export.boards import largest_span
from firmware_export.chooser.selection import Budget, Selection, select, with_margin
from firmware_export.chooser.trials import Trials, groups, linked_bytes, measured
from firmware_export.device.build import default_compiler
from firmware_export.device.cores import Core
from firmware_export.device.target import Target
from firmware_export.fit import STACK_ALLOWANCE_BYTES, STARTUP_ALLOWANCE_BYTES

OPTIMIZE = ("speed", "balanced", "memory")

#: Flash of ``balanced``: so many times the int8 weights and int32 biases, and room for code.
BALANCED_FACTOR, BALANCED_CODE_BYTES = 1.35, 24 * 1024
#: The most that layers without a choice, and the calls, may take beside what was tried.
_NEAR_BYTES = 12 * 1024
_ATTEMPTS = 4


@dataclass(frozen=True)
class Choice:
    """The kernels of a network: what was tried, and what of it was taken.

    ``compiler`` built the trials; it is "" where there was nothing to choose.
    """

    optimize: str
    cpu: str
    compiler: str
    trials: tuple[Trials, ...]
    selection: Selection

    def to_json(self) -> list[dict[str, Any]]:
        """The entry ``kernels`` of ``edgecnn export --json``: one object a kind of layer."""
        return [
            {
                "layers": sorted(tried.group.covered),
                "op": tried.group.op,
                "chosen": kernel,
                "tried": [
                    {**asdict(trial), "weight_bytes": tried.group.weight_bytes(trial.kernel)}
                    for trial in tried.trials
                ],
            }
            for tried, kernel in zip(self.trials, self.selection.kernels, strict=True)
        ]


def plain_weight_bytes(graph: Graph) -> int:
    """Bytes of a graph's int8 and int32 constants, as the network has them."""
    used = {name for node in graph.nodes for name in node.inputs if name}
    constants = [t for n, t in graph.tensors.items() if n in used and t.data is not None]
    return sum(t.nbytes for t in constants if t.dtype in (INT8, INT32))


def budget_of(graph: Graph, target: Target, optimize: str) -> Budget:
    """The flash and RAM that kernels may take: the board's, less for ``balanced`` flash."""
    flash = ram = None
    if target.board is not None:
        flash = largest_span(target.board.flash).size - STARTUP_ALLOWANCE_BYTES
        ram = largest_span(target.board.ram).size - STACK_ALLOWANCE_BYTES
    if optimize != "speed":
        balanced = int(plain_weight_bytes(graph) * BALANCED_FACTOR) + BALANCED_CODE_BYTES
        flash = balanced if flash is None else min(flash, balanced)
    return Budget(flash, ram, least_ram=optimize == "memory")


def choose_kernels(
    graph: Graph,
    target: Target,
    optimize: str,
    *,
    given: Graph | None = None,
    compiler: str | None = None,
    step: Callable[[str], None] = lambda text: None,
) -> Choice:
    """Pick a kernel for each layer of an int8 graph: the fastest set that fits the budget.

    ``given`` is the graph whose weights the budget goes by, where channels of it were removed.
    Deterministic for a graph, a target and the versions of compiler and cycle table. Trials are
    kept in the user's cache folder, so that a layer is measured once. ``step`` is told what
    begins. Raises `UserError` where no compiler for the core is there.
    """
    found = groups(graph, target.core)
    used = (compiler or default_compiler()) if found else ""
    if found:
        step(f"trying kernels for {len(found)} kinds of layers on a {target.core.title}")
    trials = measured(found, target.core, used)
    selection = _fitting(
        graph, trials, budget_of(given or graph, target, optimize), target.core, used
    )
    return Choice(optimize, target.core.name, used, trials, selection)


def _fitting(
    graph: Graph, trials: tuple[Trials, ...], budget: Budget, core: Core, compiler: str
) -> Selection:
    """The selection whose linked program fits the budget, as far as there is one.

    Trials say nothing of what the layers without a choice, and the calls, take: where the rest is
    close to the budget, the network is linked, and what was too much is saved elsewhere.
    """
    selection, saved = select(graph, trials, budget), 0
    for _ in range(_ATTEMPTS):
        if budget.flash is None or selection.flash_bytes + _NEAR_BYTES < budget.flash:
            break
        code, weights = linked_bytes(graph, selection.layers, core, compiler)
        excess = weights + with_margin(code) - budget.flash
        if excess <= 0:
            break
        saved += excess
        selection = select(graph, trials, budget.less(saved))
    return selection
