"""From an int8 graph to the calls of its layers: what `export` writes and `analyze` tells of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edgecnn.errors import UserError
from edgecnn.ir import Graph
from edgecnn.passes.remove_channels import Removal
from edgecnn.passes.remove_channels import remove_channels as without_idle_channels
from firmware_export.c_writer import CNetwork, Provenance, in_best_order, to_c
from firmware_export.chooser import OPTIMIZE, Choice, choose_kernels
from firmware_export.device.target import Target, choose
from firmware_export.exporters import CLayer
from firmware_export.runners.cortex_m import emulation_unavailable
from firmware_export.streaming.stream import Stream

#: How the input comes: into the arena, or in rows.
FEEDS = ("input", "rows")


@dataclass(frozen=True)
class Goal:
    """What a network is prepared for, as the options of ``edgecnn export`` say it.

    ``ram_limit`` is the largest arena in bytes. Raises `UserError` for an option that is none of
    its choices.
    """

    board: str | None = None
    cpu: str | None = None
    optimize: str = "balanced"
    ram_limit: int | None = None
    feed: str = FEEDS[0]
    remove_channels: bool = True

    def __post_init__(self) -> None:
        for option, value, known in (
            ("--optimize", self.optimize, OPTIMIZE),
            ("--feed", self.feed, FEEDS),
        ):
            if value not in known:
                raise UserError(f"{option} is '{value}'; it can be {', '.join(known)}")
        if self.board is not None and self.cpu is not None:
            raise UserError(
                "--board and --cpu exclude each other: the board says which core it has"
            )
        if self.ram_limit is not None and self.ram_limit <= 0:
            raise UserError(f"--ram-limit is {self.ram_limit}; it is a number of bytes from 1 on")

    @property
    def is_fed(self) -> bool:
        """Whether the input comes in rows."""
        return self.feed == "rows"

    def target(self) -> Target:
        """The core, and the board if one was named."""
        return choose(self.cpu, self.board)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A graph as it is written down, and how; ``removal`` says what was left out of it."""

    removal: Removal
    graph: Graph
    target: Target
    choice: Choice | None

    @property
    def chosen(self) -> dict[str, CLayer]:
        """The fast layers, as `to_c` takes them."""
        return {} if self.choice is None else dict(self.choice.selection.layers)

    @property
    def stream(self) -> Stream | None:
        """The layers in bands of rows."""
        return None if self.choice is None else self.choice.stream

    @property
    def is_fed(self) -> bool:
        """Whether the C takes its input in rows."""
        return self.stream is not None and self.stream.is_fed

    def to_c(self, provenance: Provenance, *, float_io: bool = False) -> CNetwork:
        """The network as C."""
        return to_c(
            self.graph,
            self.graph.name,
            provenance,
            float_io=float_io,
            chosen=self.chosen,
            stream=self.stream,
        )


def prepare(graph: Graph, goal: Goal, step: Callable[[str], None] = lambda text: None) -> Prepared:
    """Remove idle channels, order the layers, and choose how each is computed.

    ``graph`` is int8, and supported. ``step`` is told what begins. Kernels and bands are only
    chosen where a compiler and the emulator are there to try them: without them all kernels are
    portable, and `UserError` is raised for a goal that needs bands. Raises `FitError` where the
    arena cannot be as small as the goal's limit.
    """
    removal = without_idle_channels(graph) if goal.remove_channels else Removal(graph)
    ordered, target = in_best_order(removal.graph), goal.target()
    missing = emulation_unavailable()
    if missing is not None:
        if goal.is_fed or goal.ram_limit is not None:
            raise UserError(
                f"--feed rows and --ram-limit try kernels on an emulated core: {missing}"
            )
        return Prepared(removal, ordered, target, None)
    choice = choose_kernels(
        ordered,
        target,
        goal.optimize,
        given=graph,
        ram_limit=goal.ram_limit,
        is_fed=goal.is_fed,
        step=step,
    )
    return Prepared(removal, ordered, target, choice)
