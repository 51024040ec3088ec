"""Where values are rounded, and by whose rounding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import edgecnn
from edgecnn.ir import Attributes, Node
from edgecnn.ops.max_pool2d import MaxPool2DAttributes
from edgecnn.ops.pad import PadAttributes
from edgecnn.qat.executor import moves_only
from tests.qat.networks import batch, conv
from tests.qat.steps import differences, evaluated, trained

BORDER = ((0, 0), (1, 1), (1, 1), (0, 0))


@pytest.mark.parametrize(
    ("op", "attributes", "expected"),
    [
        ("reshape", Attributes(), True),
        ("transpose", Attributes(), True),
        ("slice", Attributes(), True),
        ("reduce_max", Attributes(), True),
        ("concat", Attributes(), False),  # its inputs may have had other scales
        ("relu6", Attributes(), False),  # 6 may lie between two steps
        ("pad", PadAttributes(BORDER), True),
        ("pad", PadAttributes(BORDER, 0.3), False),
        ("max_pool2d", MaxPool2DAttributes((2, 2)), True),
        ("max_pool2d", MaxPool2DAttributes((2, 2), activation="relu6"), False),
        ("average_pool2d", Attributes(), False),
        ("conv2d", Attributes(), False),
    ],
)
def test_what_only_moves_is_not_rounded_again(
    op: str, attributes: Attributes, expected: bool
) -> None:
    assert moves_only(Node(op, ("x",), ("y",), attributes)) is expected


POOLS = {
    "mean of pairs": nn.AvgPool2d(2),  # half of all odd sums are ties
    "padded": nn.AvgPool2d(3, 1, 1, count_include_pad=False),
    "mean of all": nn.AdaptiveAvgPool2d(1),
    "bilinear": nn.Upsample(scale_factor=2, mode="bilinear"),
    "sigmoid": nn.Sigmoid(),
    "hard swish": nn.Hardswish(),
    "leaky": nn.LeakyReLU(0.2),
}


@pytest.mark.parametrize("name", POOLS)
def test_kernels_with_a_rounding_of_their_own_are_met_exactly(name: str) -> None:
    torch.manual_seed(0)
    (x,) = batch([(2, 8, 8)])
    prepared = trained(nn.Sequential(conv(2, 4), nn.MaxPool2d(1), POOLS[name]), x)
    found = differences(prepared, edgecnn.convert(prepared), x)
    assert found[-1].op != "conv2d"
    assert found[-1].differing == 0


def test_gradients_pass_what_integers_compute() -> None:
    network = nn.Sequential(conv(2, 4), nn.AvgPool2d(2), nn.Hardswish())
    prepared = edgecnn.prepare_qat(network).train()
    (x,) = batch([(2, 8, 8)])
    prepared(x).sum().backward()
    got = prepared.module[0].weight.grad.clone()
    network.zero_grad()
    network(x).sum().backward()
    expected = network[0].weight.grad
    assert expected is not None
    assert float((got - expected).norm() / expected.norm()) < 0.05


def test_values_lie_on_the_grid_of_their_scale() -> None:
    (x,) = batch([(2, 8, 8)])
    prepared = trained(nn.Sequential(conv(2, 4), nn.SiLU(), nn.MaxPool2d(2)), x)
    int8 = edgecnn.convert(prepared)
    for name, reals in evaluated(prepared, x).items():
        steps = reals / np.float32(int8.tensors[name].scale)
        np.testing.assert_allclose(steps, np.rint(steps), atol=1e-3)
