"""Kernels that compute two operators in one call, whose tensor in between is never stored.

Each module of ``firmware_export/fused`` holds one `FusedKernel` named ``KERNEL``, found by its
stem, which is also that of its C (``kernels/<stem>.h``) and of its test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Generic, TypeVar, cast

from edgecnn.ir import Graph, Node
from edgecnn.operators import discover
from firmware_export.device.cores import Core
from firmware_export.exporters import CLayer
from firmware_export.fast_kernel import SHARED, lowered

P = TypeVar("P")
Q = TypeVar("Q")

#: A node, and the one that takes its output.
Pair = tuple[Node, Node]


class FusedKernel(Generic[P, Q]):
    """One way to compute two operators behind each other on some cores."""

    #: The operators.
    ops: ClassVar[tuple[str, str]]
    #: Whether it is for cores with the DSP extension, or for those without.
    needs_dsp: ClassVar[bool] = True
    #: Whether it may also be compiled once for all shapes, which takes less flash.
    may_be_shared: ClassVar[bool] = False

    def layer(self, pair: Pair, graph: Graph, params: tuple[P, Q]) -> CLayer | None:
        """The C call that computes both nodes, or None where the kernel is not for them."""
        raise NotImplementedError


def fused_kernels() -> Mapping[str, FusedKernel[Any, Any]]:
    """Every fused kernel by its stem."""
    return cast("Mapping[str, FusedKernel[Any, Any]]", discover("firmware_export.fused", "KERNEL"))


def pairs(graph: Graph) -> list[tuple[int, int]]:
    """Places of nodes of which the second alone needs what the first one gives."""
    places = {node.output: step for step, node in enumerate(graph.nodes)}
    consumers = graph.consumers()
    found = []
    for step, node in enumerate(graph.nodes):
        is_seen = not set(graph.outputs).isdisjoint(node.outputs)
        if len(node.outputs) == 1 and not is_seen and len(consumers[node.output]) == 1:
            found.append((step, places[consumers[node.output][0].output]))
    return found


def fused_candidates(pair: Pair, graph: Graph, core: Core) -> Mapping[str, CLayer]:
    """The layers that can compute a pair of `pairs` on a core, by their kernel's stem.

    With `SHARED` behind it a stem means the code for all shapes.
    """
    ops = tuple(node.op for node in pair)
    kernels = {
        stem: kernel
        for stem, kernel in fused_kernels().items()
        if kernel.ops == ops and kernel.needs_dsp == core.has_dsp
    }
    found: dict[str, CLayer] = {}
    if kernels and not any(graph.is_wide(node) for node in pair):
        first, second = (lowered(node, graph) for node in pair)
        for stem, kernel in sorted(kernels.items()):
            layer = kernel.layer(pair, graph, (first, second))
            if layer is not None:
                layer = replace(layer, inside=(pair[0].output,))
                found[stem] = layer
                if kernel.may_be_shared:
                    found[stem + SHARED] = replace(layer, is_shared=True)
    return found
