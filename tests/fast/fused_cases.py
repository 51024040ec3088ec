"""Pairs of layers side by side in one graph, each to be computed by one fused kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from edgecnn.ir import Graph, Node, Tensor
from edgecnn.operators import operator
from edgecnn.ops.max_pool2d import MaxPool2DAttributes
from firmware_export.exporters import CLayer
from firmware_export.fused_kernel import fused_candidates, pairs
from tests.fast.kernel_table import M4
from tests.ops.case_table import Case, build

#: A first layer, and the pooling behind it.
Pooled = tuple[Case, MaxPool2DAttributes]


def pooling(graph: Graph, source: str, attributes: MaxPool2DAttributes) -> tuple[Node, Tensor]:
    """A pooling of a tensor, and its output, ``<source>/pooled``."""
    x, name = graph.tensors[source], f"{source}/pooled"
    (shape,) = operator("max_pool2d").infer_shapes(attributes, [x.shape])
    return Node("max_pool2d", (source,), (name,), attributes), replace(x, name=name, shape=shape)


def pair_graph(cases: Sequence[Pooled]) -> Graph:
    """A graph of the pairs: all first layers, then all poolings, whose outputs are the graph's."""
    graph = build([case for case, _ in cases])
    poolings = [pooling(graph, case.name, attributes) for case, attributes in cases]
    return graph.replace(
        nodes=(*graph.nodes, *(node for node, _ in poolings)),
        tensors={**graph.tensors, **{tensor.name: tensor for _, tensor in poolings}},
        outputs=tuple(tensor.name for _, tensor in poolings),
    )


def fused_layers(kernel: str, graph: Graph) -> Mapping[str, CLayer]:
    """The layers of all pairs that the kernel can compute, by the output of the second node."""
    found = {}
    for first, second in pairs(graph):
        pair = graph.nodes[first], graph.nodes[second]
        layer = fused_candidates(pair, graph, M4).get(kernel)
        if layer is not None:
            found[pair[1].output] = layer
    return found


def is_taken(kernel: str, case: Pooled) -> bool:
    """Whether the kernel can compute a pair."""
    return len(fused_layers(kernel, pair_graph([case]))) == 1
