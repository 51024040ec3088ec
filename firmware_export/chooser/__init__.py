"""Picks a kernel for each layer by running all that can compute it on the emulated core."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from edgecnn.errors import FitError, UserError
from edgecnn.ir import Graph
from firmware_export.boards import largest_span
from firmware_export.chooser.curve import Point, beyond, curve, pick
from firmware_export.chooser.selection import Budget, Frame, Selection, select, with_margin
from firmware_export.chooser.streams import Bands, StreamChoice
from firmware_export.chooser.trials import Trials, groups, linked_bytes, measured
from firmware_export.device.build import default_compiler
from firmware_export.device.cores import Core
from firmware_export.device.target import Target
from firmware_export.fit import STACK_ALLOWANCE_BYTES, STARTUP_ALLOWANCE_BYTES
from firmware_export.streaming.stream import Stream

OPTIMIZE = ("speed", "balanced", "memory")

#: Flash of ``balanced``: so many times the int8 weights and int32 biases, and room for code.
BALANCED_FACTOR, BALANCED_CODE_BYTES = 1.35, 24 * 1024
#: The most that layers without a choice, and the calls, may take beside what was tried.
_NEAR_BYTES = 12 * 1024
_ATTEMPTS = 4
_NOT_FED = (
    "--feed rows: the first layer has to be one that works on rows of an image (1, H, W, C), the "
    "network's only input, which nothing else reads"
)


@dataclass(frozen=True)
class Choice:
    """The kernels of a network: what was tried, and what of it was taken.

    ``compiler`` built the trials; it is "" where there was nothing to choose. ``curve`` has what
    there is to choose from where RAM was weighed against cycles.
    """

    optimize: str
    cpu: str
    compiler: str
    trials: tuple[Trials, ...]
    selection: Selection
    streamed: StreamChoice | None = None
    curve: tuple[Point, ...] = ()

    @property
    def stream(self) -> Stream | None:
        """The layers in bands of rows."""
        return None if self.streamed is None else self.streamed.stream

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

    def bands_to_json(self) -> list[dict[str, Any]]:
        """The entry ``bands``: one object for each layer that is computed in bands of rows."""
        if self.streamed is None:
            return []
        pairs = zip(self.streamed.rows, self.streamed.kernels, strict=True)
        return [
            {"layer": i, "rows": rows, "chosen": kernel} for i, (rows, kernel) in enumerate(pairs)
        ]


def plain_weight_bytes(graph: Graph) -> int:
    """Bytes of a graph's integer constants, as the network has them."""
    used = {name for node in graph.nodes for name in node.inputs if name}
    constants = [t for n, t in graph.tensors.items() if n in used and t.data is not None]
    return sum(t.nbytes for t in constants)


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
    ram_limit: int | None = None,
    is_fed: bool = False,
    compiler: str | None = None,
    step: Callable[[str], None] = lambda text: None,
) -> Choice:
    """Pick a kernel for each layer of an int8 graph: the fastest set that fits the budget.

    ``given`` is the graph whose weights the budget goes by, where channels of it were removed.
    First layers are computed in bands of rows where that takes RAM to ``ram_limit`` bytes or into
    the board, for ``memory``, and with ``is_fed``, for a network whose input comes in rows.
    Deterministic for a graph, a target and the versions of compiler and cycle table. Trials are
    kept in the user's cache folder, so that a layer is measured once. ``step`` is told what
    begins. Raises `UserError` where no compiler for the core is there, or the input cannot come in
    rows, and `FitError` where the arena cannot be as small as ``ram_limit``.
    """
    core, frame = target.core, Frame.of(graph)
    found = groups(graph, core)
    used = (compiler or default_compiler()) if found else ""
    if found:
        step(f"trying kernels for {len(found)} kinds of layers on a {core.title}")
    trials = measured(found, core, used)
    budget = budget_of(given or graph, target, optimize)
    if not is_fed and ram_limit is None and optimize != "memory":
        start = select(frame, trials, budget)
        selection = _fitting(frame, trials, budget, core, used, start)
        if budget.ram is None or selection.arena_bytes <= budget.ram:
            return Choice(optimize, core.name, used, trials, selection)
    bands = Bands(graph, core, used or default_compiler())
    if is_fed and not bands.windows:
        raise UserError(_NOT_FED)
    points = curve(frame, trials, budget, bands, is_fed=is_fed, step=step)
    limit = min((b for b in (ram_limit, budget.ram) if b is not None), default=None)
    least_ram = optimize == "memory" or (is_fed and optimize != "speed")
    point = _within(points, ram_limit, limit, least_ram=least_ram)
    streamed = point.streamed
    ahead = 0 if streamed is None else streamed.flash_bytes
    if streamed is None:
        after = frame
    else:
        after = Frame(graph, frame.portable, streamed.stream, streamed.arena_bytes)
    start = replace(point.selection, arena_bytes=after.arena_with(point.selection.layers))
    rest = replace(budget, ram=point.arena_bytes, least_ram=False)
    selection = _fitting(after, trials, rest, core, used, start, ahead)
    if ram_limit is not None and selection.arena_bytes > ram_limit:
        raise beyond(ram_limit, selection.arena_bytes)
    return Choice(optimize, core.name, used, trials, selection, streamed, tuple(points))


def _within(
    points: Sequence[Point], ram_limit: int | None, limit: int | None, *, least_ram: bool
) -> Point:
    """A point within the board's RAM if there is one, and in any case within ``ram_limit``."""
    try:
        return pick(points, limit, least_ram=least_ram)
    except FitError:
        if ram_limit is not None:
            raise
        return min(points, key=lambda p: p.arena_bytes)


def _fitting(
    frame: Frame,
    trials: tuple[Trials, ...],
    budget: Budget,
    core: Core,
    compiler: str,
    start: Selection,
    ahead: int = 0,
) -> Selection:
    """A selection, or one near it, whose linked program fits the budget, as far as there is one.

    Trials say nothing of what the layers without a choice, and the calls, take: where the rest is
    close to the budget, the network is linked, and what was too much is saved elsewhere. Layers in
    bands take the flash ``ahead``.
    """
    selection, saved = start, 0
    for _ in range(_ATTEMPTS):
        if budget.flash is None or ahead + selection.flash_bytes + _NEAR_BYTES < budget.flash:
            break
        code, weights = linked_bytes(
            frame.graph, selection.layers, core, compiler, stream=frame.stream
        )
        excess = weights + with_margin(code) - budget.flash
        if excess <= 0:
            break
        saved += excess
        selection = select(frame, trials, budget.less(ahead + saved))
    return selection
