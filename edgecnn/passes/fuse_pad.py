"""Lets convolutions and maximum pooling pad their image themselves."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from edgecnn.fixedpoint import INT8_MIN, quantize
from edgecnn.ir import Graph, Node, Tensor, prune
from edgecnn.operators import operator
from edgecnn.ops.pad import MAX_RANK, PadAttributes
from edgecnn.ops.reshape import ReshapeAttributes
from edgecnn.passes.editing import feeds_only, same_quant, unique_name
from edgecnn.windows import Padding, count_inside

_PADS_WITH_ZERO = ("conv2d", "depthwise_conv2d")


def turn_pads(graph: Graph) -> Graph:
    """Return an equal graph where pads of sequences come after the reshape that makes images.

    That is, after a reshape that only adds or drops axes of 1.
    """
    consumers = graph.consumers()
    pads = {node.output: node for node in graph.nodes if node.op == "pad"}
    tensors, nodes = dict(graph.tensors), list[Node]()
    for node in graph.nodes:
        pad = pads.get(node.inputs[0]) if node.op == "reshape" else None
        turned = None
        if pad is not None and feeds_only(graph, pad.output, node, consumers):
            turned = _behind(graph, tensors, pad, node)
        nodes += turned or [node]
    return prune(graph.replace(nodes=tuple(nodes), tensors=tensors))


def _behind(
    graph: Graph, tensors: dict[str, Tensor], pad: Node, reshape: Node
) -> list[Node] | None:
    """Reshape and then pad; None where the reshape does more, or an axis is cut down to 1."""
    a, source = pad.attributes, graph.tensors[pad.inputs[0]]
    assert isinstance(a, PadAttributes)
    padded, output = graph.tensors[pad.output].shape, graph.tensors[reshape.output]
    amounts = [pair for pair, size in zip(a.paddings, padded, strict=True) if size != 1]
    inner = [n for n, size in zip(source.shape, padded, strict=True) if size != 1]
    kept = [size for size in padded if size != 1]
    cut = any(p != (0, 0) for p, size in zip(a.paddings, padded, strict=True) if size == 1)
    if cut or kept != [size for size in output.shape if size != 1]:
        return None
    if len(output.shape) > MAX_RANK or not same_quant(graph, reshape):
        return None
    moved = iter(zip(amounts, inner, strict=True))
    axes = [next(moved) if size != 1 else ((0, 0), 1) for size in output.shape]
    sizes = tuple(size for _, size in axes)
    name = unique_name(tensors, f"{output.name}_inner")
    tensors[name] = Tensor(name, sizes, output.dtype, None, source.quant)
    attributes = dataclasses.replace(a, paddings=tuple(pair for pair, _ in axes))
    return [
        Node("reshape", pad.inputs, (name,), ReshapeAttributes(sizes)),
        Node("pad", (name,), reshape.outputs, attributes),
    ]


def fuse_pad(graph: Graph) -> Graph:
    """Return an equal graph where the padding of height and width is the reader's own.

    A convolution takes over zeros, which an int8 graph spells as the zero point; maximum pooling
    takes over what never wins: -inf, or the lowest byte. Average pooling counts such zeros but
    not its own padding, so it is left alone.
    """
    consumers = graph.consumers()
    pads = {node.output: node for node in graph.nodes if node.op == "pad"}
    dropped: set[str] = set()
    nodes: list[Node] = []
    for node in graph.nodes:
        pad, reader = pads.get(node.inputs[0]), node
        while pad is not None and feeds_only(graph, pad.output, reader, consumers):
            padded = _with_padding(graph, pad, node)
            if padded is None:
                break
            dropped.add(pad.output)
            node, reader, pad = padded, pad, pads.get(padded.inputs[0])
        nodes.append(node)
    kept = tuple(node for node in nodes if node.output not in dropped)
    return prune(graph.replace(nodes=kept))


def _with_padding(graph: Graph, pad: Node, node: Node) -> Node | None:
    """The node that reads past the pad, or None where its own padding means something else."""
    a = pad.attributes
    target: Any = node.attributes
    assert isinstance(a, PadAttributes)
    spatial = len(a.paddings) == 4 and a.paddings[0] == a.paddings[3] == (0, 0)
    if not spatial or min(min(pair) for pair in a.paddings) < 0 or not same_quant(graph, pad):
        return None
    accepted = (node.op in _PADS_WITH_ZERO and a.value == 0) or (
        node.op == "max_pool2d" and _never_wins(graph, pad, a.value)
    )
    if not accepted:
        return None
    padding = _sum(target.padding, (*a.paddings[1], *a.paddings[2]))
    attributes = dataclasses.replace(target, padding=padding)
    if node.op == "max_pool2d" and not _windows_touch(graph, pad.inputs[0], attributes):
        return None
    fused = Node(node.op, (pad.inputs[0], *node.inputs[1:]), node.outputs, attributes)
    shapes = [graph.tensors[name].shape if name else () for name in fused.inputs]
    same = operator(node.op).infer_shapes(attributes, shapes)
    return fused if same == (graph.tensors[node.output].shape,) else None


def _sum(first: Padding, second: Padding) -> Padding:
    top, bottom, left, right = (a + b for a, b in zip(first, second, strict=True))
    return top, bottom, left, right


def _never_wins(graph: Graph, pad: Node, value: float) -> bool:
    if value == -np.inf:
        return True
    x = graph.tensors[pad.inputs[0]]
    return x.quant is not None and int(quantize(value, x.scale, x.zero_point)) == INT8_MIN


def _windows_touch(graph: Graph, image: str, attributes: Any) -> bool:
    """Whether every window still holds a value of the image."""
    _, height, width, _ = graph.tensors[image].shape
    return bool(np.all(count_inside(attributes.window, (height, width)) > 0))
