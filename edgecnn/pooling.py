"""What the pooling operators have in common."""

from __future__ import annotations

import numpy as np

from edgecnn.ir import Graph, Node
from edgecnn.operators import same_quantization_problem
from edgecnn.windows import Window, count_inside


def pooling_problem(node: Node, graph: Graph, window: Window) -> str | None:
    """Say why a pooling node cannot be exported exactly, or None.

    The batch must be 1. A window that lies wholly in the padding has no maximum and no mean.
    """
    x, output = graph.tensors[node.inputs[0]], graph.tensors[node.output]
    if x.shape[0] != 1:
        return f"its batch is {x.shape[0]}; it must be 1"
    if np.any(count_inside(window, (x.shape[1], x.shape[2])) == 0):
        return "one of its windows lies wholly in the padding"
    return same_quantization_problem(x.quant, output.quant)
