"""What is rounded in training is what the exported network has as int8."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

import edgecnn
from edgecnn.qat.plan import Plan
from tests.frontends.torch_modules import Call
from tests.qat.networks import Inverted, Residual, conv, head


def plan_of(module: nn.Module, *shapes: tuple[int, ...]) -> Plan:
    examples = tuple(torch.zeros(1, *shape) for shape in shapes)
    return edgecnn.prepare_qat(module, examples).traced().plan


def test_a_layer_with_all_that_is_fused_into_it_is_one_tensor() -> None:
    plan = plan_of(Residual(), (2, 8, 8))
    assert plan.exported.activations() == [*plan.row_of]
    assert [*plan.row_of] == ["x", "relu", "batch_norm_1", "relu_1", "mean", "linear"]
    assert len({*plan.row_of.values()}) == 6
    first, second, third = plan.layers.values()
    assert [node.op for node in first.affine] == ["batch_norm"]
    assert [node.op for node in second.affine] == ["batch_norm"]
    assert third.affine == ()
    assert first.input_row == plan.row_of["x"]
    assert third.input_row == plan.row_of["mean"]


def test_a_composed_function_is_one_tensor() -> None:
    by_hand = Call(lambda m, x: m.b(m.a(x) * torch.sigmoid(m.a(x)) + 1), a=conv(2, 3), b=conv(3, 2))
    shared = Call(lambda m, x: m.b((lambda y: y * torch.sigmoid(y) + 1)(m.a(x))),
                  a=conv(2, 3), b=conv(3, 2))  # fmt: skip
    assert len(plan_of(shared, (2, 8, 8)).row_of) == 4  # input, convolution, table, convolution
    assert len(plan_of(by_hand, (2, 8, 8)).row_of) == 7
    assert not plan_of(shared, (2, 8, 8)).operands


def test_what_is_joined_shares_a_range() -> None:
    def forward(m: Any, x: Tensor) -> Tensor:
        return torch.cat([torch.relu(m.a(x)), torch.sigmoid(m.b(x)), m.c(x)], 1)

    layers = {"a": conv(2, 3), "b": conv(2, 3), "c": conv(2, 3)}
    plan = plan_of(Call(forward, **layers), (2, 8, 8))
    assert plan.row_of["relu"] == plan.row_of["conv2d_2"] == plan.row_of["cat"]
    assert set(plan.rows[plan.row_of["cat"]].members) == {"relu", "conv2d_2", "sigmoid"}
    fixed = plan.rows[plan.row_of["sigmoid"]].fixed
    assert fixed is not None
    assert fixed.scale == (1 / 256,)
    assert plan.rescaled == {"cat": (1,)}


def test_moves_keep_the_range() -> None:
    plan = plan_of(nn.Sequential(conv(2, 3), nn.MaxPool2d(2), *head(3, 9)), (2, 8, 8))
    assert plan.row_of["max_pool2d"] == plan.row_of["conv2d"]
    assert len({*plan.row_of.values()}) == 3


def test_constants_are_rounded_where_they_stay() -> None:
    scaled = Call(lambda m, x: m.a(x) * m.scale, a=conv(2, 3))
    scaled.register_parameter("scale", nn.Parameter(torch.rand(3, 1, 1)))
    assert plan_of(scaled, (2, 8, 8)).operands == {"mul": (1,)}
    shifted = Call(lambda m, x: m.a(x) + m.offset, a=conv(2, 3))
    shifted.register_parameter("offset", nn.Parameter(torch.rand(3, 1, 1)))
    plan = plan_of(shifted, (2, 8, 8))
    assert not plan.operands  # it is a bias
    assert [node.op for node in plan.layers["conv2d"].affine] == ["add"]


def test_a_normalization_alone_is_a_layer() -> None:
    plan = plan_of(nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), conv(3, 4)), (3, 6, 6))
    assert [layer.node.op for layer in plan.layers.values()] == ["batch_norm", "conv2d"]
    flat = nn.Sequential(nn.ReLU(), nn.BatchNorm1d(3), nn.Linear(3, 2))
    assert [layer.node.op for layer in plan_of(flat, (3,)).layers.values()] == [
        "batch_norm",
        "fully_connected",
    ]


def test_two_normalizations_fold_into_one_layer() -> None:
    module = nn.Sequential(conv(2, 3), nn.BatchNorm2d(3), nn.BatchNorm2d(3), nn.ReLU6())
    (layer,) = plan_of(module, (2, 8, 8)).layers.values()
    assert [node.op for node in layer.affine] == ["batch_norm", "batch_norm"]
    assert len(layer.norms) == 2


def test_every_int8_tensor_has_a_range() -> None:
    plan = plan_of(Inverted(), (3, 6, 6))
    assert plan.exported_rows.keys() == set(plan.exported.activations())
