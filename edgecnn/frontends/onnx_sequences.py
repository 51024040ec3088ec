"""Lets ONNX's importers of images also take sequences (N, C, L), as images of one row."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from edgecnn.errors import ModelFormatError
from edgecnn.frontends.builder import GraphBuilder, Value
from edgecnn.frontends.sequences import as_images, as_sequences, image_of, weights_as_images
from edgecnn.frontends.spelling import OnnxNode

Importer = Callable[[GraphBuilder, OnnxNode], Value]

#: What each attribute of a window is in a height of 1.
_BESIDE = {"kernel_shape": 1, "strides": 1, "dilations": 1, "output_padding": 0, "output_shape": 1}


#: Operators that take each value, or each channel, for itself, so that they may work on the image
#: behind a sequence: the layer before can absorb them then. Other inputs are constants by channel
#: or of one value, or of the same shape.
_POINTWISE = frozenset(
    {"Relu", "Clip", "LeakyRelu", "Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "Elu", "Softplus",
     "BatchNormalization", "QuantizeLinear", "DequantizeLinear", "Identity"}
)  # fmt: skip
_PAIRWISE = frozenset({"Add", "Sub", "Mul"})


def behind_sequences(b: GraphBuilder, node: OnnxNode, importer: Importer) -> Any:
    """What ``importer`` makes of a node, on the images behind its sequences where that is equal."""
    count = 1 if node.op_type in _POINTWISE else len(node.inputs)
    if node.op_type not in _POINTWISE | _PAIRWISE:
        return importer(b, node)
    images = [image_of(b, x) if x else None for x in node.inputs[:count]]
    if None in images or len({b.shape(image) for image in images if image}) != 1:
        return importer(b, node)
    return _on_images(b, node, importer, [*images, *node.inputs[count:]])


def _on_images(
    b: GraphBuilder,
    node: OnnxNode,
    importer: Importer,
    inputs: list[Value | None],
) -> Value:
    """Import a node for other inputs, which are images, and give its result as a sequence."""
    name, b.scope = b.scope, f"{b.scope}_image"
    a = _of_images(node.attributes)
    y = importer(b, OnnxNode(node.op_type, node.opset, inputs, a, node.outputs))
    b.scope = name
    return as_sequences(b, y)


def also_sequences(importer: Importer) -> Importer:
    """An importer of (N, C, H, W) that also takes (N, C, L), and weights of rank 3 then.

    The first input is the image; the second one, if any, are weights.
    """

    @wraps(importer)
    def either(b: GraphBuilder, node: OnnxNode) -> Value:
        if len(b.shape(node.value(0))) != 3:
            return importer(b, node)
        name, b.scope = b.scope, f"{b.scope}_image"
        inputs: list[Value | None] = [as_images(b, node.value(0)), *node.inputs[1:]]
        if len(inputs) > 1:
            inputs[1] = weights_as_images(b, node.value(1))
        b.scope = name
        return _on_images(b, node, importer, inputs)

    return either


def _of_images(attributes: dict[str, Any]) -> dict[str, Any]:
    """The attributes of a window along a length as those of a window of one row."""
    widened = dict(attributes)
    for name, filler in _BESIDE.items():
        if name in attributes:
            widened[name] = [filler, _only(attributes, name, 1)[0]]
    if "pads" in attributes:
        before, after = _only(attributes, "pads", 2)
        widened["pads"] = [0, before, 0, after]
    return widened


def _only(attributes: dict[str, Any], name: str, count: int) -> list[int]:
    values = list(attributes[name])
    if len(values) != count:
        raise ModelFormatError(f"the attribute {name} is {values}; a sequence takes {count}")
    return values
