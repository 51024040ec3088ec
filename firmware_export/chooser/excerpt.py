"""A few rows of a large layer, to try kernels on in its place."""

from __future__ import annotations

import math
from collections.abc import Sequence

from edgecnn.ir import Graph, Node, Shape
from edgecnn.macs import macs_of
from edgecnn.operators import operator
from firmware_export.parts import alone, shape_of

#: Multiply-accumulates of a layer that is tried as it is: some 0.2 s for portable code.
TRIAL_MACS = 4_000_000
#: Rows of the image that a kernel gets in any case, so that its borders count little.
_LEAST_ROWS = 24


def rows_of(graph: Graph, nodes: Sequence[Node]) -> tuple[Graph, float]:
    """Layers behind each other on the upper rows of their image, and how much more all rows are.

    The graph has the nodes alone. Their cost grows with the rows of the output, so that cycles
    of the excerpt times the factor are those of the whole, but for borders. Layers of up to
    `TRIAL_MACS`, and those that are not a chain over one image, come whole, with the factor 1.
    """
    whole = alone(graph, nodes, {})
    macs = sum(macs_of(graph, node) for node in nodes)
    image = graph.tensors[nodes[0].inputs[0]].shape
    if macs <= TRIAL_MACS or len(image) != 4 or len(whole.inputs) != 1:
        return whole, 1.0
    rows = max(_LEAST_ROWS, math.ceil(image[1] * TRIAL_MACS / macs))
    if rows >= image[1]:
        return whole, 1.0
    shapes: dict[str, Shape] = {nodes[0].inputs[0]: (image[0], rows, *image[2:])}
    for node in nodes:
        taken = [shape_of(graph, name, shapes) for name in node.inputs]
        results = operator(node.op).infer_shapes(node.attributes, taken)
        shapes |= dict(zip(node.outputs, results, strict=True))
    last = nodes[-1].output
    before, after = graph.tensors[last].shape, shapes[last]
    if len(after) != 4 or min(after) < 1 or before[2:] != after[2:]:
        return whole, 1.0
    return alone(graph, nodes, shapes), before[1] / after[1]
