"""Layers with weights while they are trained: rounded weights, batch normalization, rounded bias.

In evaluation, and where the statistics of a batch normalization are frozen, it is folded into the
weights as `edgecnn.passes.fold_batch_norm` does it, and the folded weights are rounded. In training
the layer's own weights are rounded and the normalization is computed of the batch. Both round
alike: the scale of each channel's weights follows whatever factor is folded into them, so that no
correction is needed when the statistics of a batch are not those of all.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

from edgecnn.ir import Graph, Node
from edgecnn.operators import operator
from edgecnn.ops.batch_norm import BatchNormAttributes
from edgecnn.qat import operators
from edgecnn.qat.plan import Layer
from edgecnn.qat.rounding import quantize_bias, quantize_weights, weight_scales


def _scale_and_offset(node: Node, constants: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """`edgecnn.ops.batch_norm.scale_and_offset`, float64, with gradients."""
    attributes = node.attributes
    assert isinstance(attributes, BatchNormAttributes)
    gamma, beta, mean, variance = (constants[name].double() for name in node.inputs[1:])
    scale = gamma / torch.sqrt(variance + attributes.epsilon)
    return scale, beta - mean * scale


def weights_axis(layer: Layer) -> int:
    """The axis of the output channels of a layer's weights."""
    axis = 3 if layer.node.op == "batch_norm" else operator(layer.node.op).weights_axis
    assert axis is not None
    return axis


def folded(
    layer: Layer, graph: Graph, constants: Mapping[str, Tensor]
) -> tuple[Tensor, Tensor | None]:
    """Weights and bias, float32, with all affine nodes of a layer in them."""
    node = layer.node
    if node.op == "batch_norm":
        scale, offset = _scale_and_offset(node, constants)
        weights, bias = scale.float().reshape(1, 1, 1, -1), offset.float()
    else:
        weights = constants[node.inputs[1]]
        name = (*node.inputs, "")[2]
        bias = constants[name] if name else None
    shape = [1] * weights.dim()
    shape[weights_axis(layer)] = -1
    for other in layer.affine:
        if other.op == "add":
            (name,) = (n for n in other.inputs if not graph.is_activation(n))
            vector = constants[name].reshape(-1)
            bias = vector if bias is None else (vector.double() + bias.double()).float()
            continue
        scale, offset = _scale_and_offset(other, constants)
        weights = (weights.double() * scale.reshape(shape)).float()
        bias = (offset if bias is None else bias.double() * scale + offset).float()
    if bias is not None:
        bias = bias.expand(weights.shape[weights_axis(layer)])
    return weights, bias


def compute_folded(
    layer: Layer, graph: Graph, constants: Mapping[str, Tensor], x: Tensor, input_scale: Tensor
) -> Tensor:
    """The output of a layer and of its affine nodes, as the exported layer computes it."""
    weights, bias = folded(layer, graph, constants)
    axis = weights_axis(layer)
    scales = weight_scales(weights, axis, bias, input_scale)
    rounded = quantize_weights(weights, axis, scales)
    offset = None if bias is None else quantize_bias(bias, input_scale, scales)
    if layer.node.op == "batch_norm":
        assert offset is not None
        return x * rounded.reshape(-1) + offset
    return _computed(layer.node, x, rounded, offset)


def compute_apart(layer: Layer, constants: Mapping[str, Tensor], x: Tensor) -> Tensor:
    """The output of a layer alone, with rounded weights; its affine nodes are yet to come."""
    node, axis = layer.node, weights_axis(layer)
    weights = constants[node.inputs[1]]
    scales = weight_scales(weights, axis, None, x.new_ones(()))
    name = (*node.inputs, "")[2]
    bias = constants[name] if name else None
    return _computed(node, x, quantize_weights(weights, axis, scales), bias)


def _computed(node: Node, x: Tensor, weights: Tensor, bias: Tensor | None) -> Tensor:
    (result,) = operators.compute(node, (x, weights, bias))
    return result


def normalize(
    node: Node, constants: Mapping[str, Tensor], x: Tensor, owner: BatchNorm | None
) -> tuple[Tensor, dict[str, Tensor]]:
    """A batch normalization of the last axis; by the batch, where it has an ``owner``.

    Also gives the new running statistics, by the names of the constants that hold them.
    """
    attributes = node.attributes
    assert isinstance(attributes, BatchNormAttributes)
    gamma, beta, mean, variance = (constants[name] for name in node.inputs[1:])
    images, epsilon = x.movedim(-1, 1), attributes.epsilon
    if owner is None:
        y = functional.batch_norm(images, mean, variance, gamma, beta, False, 0.0, epsilon)
        return y.movedim(1, -1), {}
    momentum = owner.momentum
    if momentum is None:  # the mean of all batches
        momentum = 1.0 / (float(owner.num_batches_tracked) + 1.0)
    mean, variance = mean.detach().clone(), variance.detach().clone()
    y = functional.batch_norm(images, mean, variance, gamma, beta, True, momentum, epsilon)
    return y.movedim(1, -1), dict(zip(node.inputs[3:], (mean, variance), strict=True))
