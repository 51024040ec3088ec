"""Layers on a few rows of their images."""

from __future__ import annotations

from edgecnn.ir import INT8, Graph, Node, Shape
from edgecnn.operators import operator
from edgecnn.windows import RowWindow
from firmware_export.parts import alone


def window_of(graph: Graph, node: Node) -> RowWindow | None:
    """How rows of a node's output depend on rows of its inputs; None where it needs all of them."""
    output = graph.tensors[node.output]
    window = operator(node.op).row_window(node, graph)
    if window is None or len(node.outputs) != 1 or not _is_image(output.shape):
        return None
    images = [graph.tensors[name] for name in graph.activation_inputs(node)]
    if any(not _is_image(t.shape) or t.dtype != INT8 for t in (*images, output)):
        return None
    if not operator(node.op).is_elementwise:
        return window
    constants = [graph.tensors[n].shape for n in node.inputs if n and not graph.is_activation(n)]
    have_rows = any(len(shape) > 2 and shape[-3] != 1 for shape in constants)
    are_alike = all(tensor.shape == output.shape for tensor in images)
    return window if are_alike and not have_rows else None


def _is_image(shape: Shape) -> bool:
    return len(shape) == 4 and shape[0] == 1


def band(graph: Graph, node: Node, window: RowWindow, rows: int) -> Graph:
    """The graph of a node alone that computes ``rows`` rows of its output, from those they need."""
    images = graph.activation_inputs(node)
    names = {name: window.rows(rows) for name in images} | {node.output: rows}
    shapes = {name: (1, count, *graph.tensors[name].shape[2:]) for name, count in names.items()}
    cut = Node(node.op, node.inputs, node.outputs, window.attributes)
    return alone(graph, (cut,), shapes)
