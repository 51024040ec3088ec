"""Layers fold and round as the passes and the quantizer do, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import edgecnn
from edgecnn.fixedpoint import dequantize
from edgecnn.qat import layers
from edgecnn.qat.rounding import quantize_weights, weight_scales
from tests.frontends.torch_modules import Call
from tests.qat.networks import Inverted, Residual, batch, conv
from tests.qat.steps import trained
from tests.torch_helpers import randomize


def _with_offset() -> nn.Module:
    module = Call(
        lambda m, x: torch.relu(m.n(m.a(x) + m.offset)), a=conv(2, 3), n=nn.BatchNorm2d(3)
    )
    module.register_parameter("offset", nn.Parameter(torch.rand(3, 1, 1)))
    return module


CASES = {
    "residual": (Residual, (2, 8, 8)),
    "depthwise": (Inverted, (3, 6, 6)),
    "offset": (_with_offset, (2, 8, 8)),
    "alone": (lambda: nn.Sequential(nn.BatchNorm2d(3), conv(3, 2)), (3, 6, 6)),
    "twice": (lambda: nn.Sequential(conv(2, 3), nn.BatchNorm2d(3), nn.BatchNorm2d(3)), (2, 8, 8)),
    "transposed": (
        lambda: nn.Sequential(nn.ConvTranspose2d(2, 3, 2, 2), nn.BatchNorm2d(3)),
        (2, 5, 5),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_folded_weights_are_those_of_the_passes(name: str) -> None:
    make, shape = CASES[name]
    module = randomize(make())
    prepared = edgecnn.prepare_qat(module, torch.zeros(1, *shape))
    traced = prepared.traced()
    plan, constants = traced.plan, prepared.read(traced).constants
    found = [layers.folded(layer, plan.graph, constants) for layer in plan.layers.values()]
    nodes = [node for node in plan.exported.nodes if len(node.inputs) == 3]
    assert len(found) == len(nodes) > 0
    for node, (weights, bias) in zip(nodes, found, strict=True):
        expected = plan.exported.constant(node.inputs[1])
        np.testing.assert_array_equal(weights.detach().numpy(), expected)
        assert bias is not None
        np.testing.assert_array_equal(bias.detach().numpy(), plan.exported.constant(node.inputs[2]))


def test_rounded_weights_are_those_of_the_converted_graph() -> None:
    inputs = batch([(2, 8, 8)])
    prepared = trained(Residual(), *inputs).eval()
    int8 = edgecnn.convert(prepared)
    traced = prepared.traced()
    constants = prepared.read(traced).constants
    nodes = [node for node in int8.nodes if len(node.inputs) == 3]
    for layer, node in zip(traced.plan.layers.values(), nodes, strict=True):
        weights, bias = layers.folded(layer, traced.plan.graph, constants)
        stored, step = int8.tensors[node.inputs[1]], int8.tensors[node.inputs[0]].scale
        assert stored.data is not None
        assert stored.quant is not None
        axis = layers.weights_axis(layer)
        scales = weight_scales(weights, axis, bias, torch.tensor(step))
        assert tuple(map(float, scales)) == stored.quant.scale
        reals = np.stack(
            [dequantize(w, s, 0) for w, s in zip(stored.data, stored.quant.scale, strict=True)]
        )
        got = quantize_weights(weights, axis, scales).detach().numpy()
        np.testing.assert_allclose(got, reals, 1e-6)


def test_weights_round_alike_with_a_norm_folded_and_without() -> None:
    """The scale of a channel follows the factor: training needs no correction of the weights."""
    rng = np.random.default_rng(0)
    weights = rng.normal(0, 1, (6, 3, 3, 2)).astype(np.float32)
    factors = rng.lognormal(0, 2, (6, 1, 1, 1)).astype(np.float32)
    plain, scaled = torch.from_numpy(weights), torch.from_numpy(weights * factors)
    one = torch.ones(())
    apart = quantize_weights(plain, 0, weight_scales(plain, 0, None, one)).numpy() * factors
    together = quantize_weights(scaled, 0, weight_scales(scaled, 0, None, one)).numpy()
    np.testing.assert_allclose(together, apart, 1e-5)
