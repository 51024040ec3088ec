"""Constants of the graph are known by the parameters that they are laid out from."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from edgecnn.frontends.torch_export import capture, functional
from edgecnn.qat.provenance import Constants, Dropout, Imported, trace
from tests.frontends.torch_modules import Call
from tests.qat.networks import conv


def traced(module: nn.Module, *shape: int) -> Imported:
    return trace(functional(capture(module.eval(), (torch.zeros(1, *shape),))), module)


def same_after_a_change(module: nn.Module, *shape: int) -> Imported:
    """All constants follow the parameters: those of the old trace are those of a new one."""
    found = traced(module, *shape)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape).abs() + 0.1)
    anew = traced(module, *shape)
    origin = Constants(found, module)
    for name, layout in found.layouts.items():
        with torch.no_grad():
            data = origin.laid_out(layout).numpy()
        np.testing.assert_array_equal(data, anew.graph.constant(name), err_msg=name)
    assert found.layouts.keys() == anew.layouts.keys()
    return found


def test_weights_are_permuted() -> None:
    found = same_after_a_change(nn.Sequential(conv(2, 4), conv(4, 4, groups=4)), 2, 8, 8)
    orders = {name: layout.permutation for name, layout in found.layouts.items()}
    assert orders["0.weight_1"] == (0, 2, 3, 1)
    assert orders["1.weight_1"] == (1, 2, 3, 0)
    assert orders["0.bias"] == (0,)


def test_columns_behind_a_flattening_are_gathered() -> None:
    module = nn.Sequential(conv(2, 4), nn.Flatten(), nn.Linear(4 * 36, 3))
    found = same_after_a_change(module, 2, 8, 8)
    (layout,) = [at for at in found.layouts.values() if at.shape == (3, 4 * 36)]
    assert layout.permutation is None
    assert sorted(layout.index.tolist()) == list(range(3 * 4 * 36))


def test_zeros_between_groups_stay_zeros() -> None:
    module = nn.ConvTranspose2d(4, 6, 3, groups=2, dilation=2)
    found = same_after_a_change(module, 4, 5, 5)
    (layout,) = [at for at in found.layouts.values() if len(at.shape) == 4]
    assert -1 in layout.index


def test_what_torch_computes_of_parameters_is_computed_again() -> None:
    found = same_after_a_change(nn.utils.parametrizations.weight_norm(conv(2, 4)), 2, 8, 8)
    assert found.computed


def test_one_parameter_may_be_used_twice() -> None:
    module = Call(lambda m, x: m.a(torch.relu(m.a(x))), a=conv(3, 3))
    assert len(same_after_a_change(module, 3, 8, 8).layouts) == 2


def test_a_learned_slope_is_known() -> None:
    found = same_after_a_change(nn.Sequential(conv(2, 3), nn.PReLU()), 2, 8, 8)
    assert [*found.slopes] == ["prelu"]


def test_a_learned_slope_under_0_is_known() -> None:
    module = nn.Sequential(conv(2, 3), nn.PReLU(init=-0.5))
    found = traced(module, 2, 8, 8)
    assert [*found.slopes] == ["prelu"]
    assert Constants(found, module).laid_out(found.slopes["prelu"]).tolist() == [-0.5]


def test_constants_of_the_code_stay_as_they_are() -> None:
    found = traced(Call(lambda m, x: m.a(x) * 3, a=conv(2, 3)), 2, 8, 8)
    (node,) = [node for node in found.graph.nodes if node.op == "mul"]
    (name,) = [name for name in node.inputs if found.graph.constant(name) is not None]
    assert name not in found.layouts


def test_dropout_leaves_a_mark() -> None:
    module = nn.Sequential(conv(2, 3), nn.Dropout(0.25), nn.Dropout2d(0.5))
    marks = [node.attributes for node in traced(module, 2, 8, 8).graph.nodes]
    kinds = [(mark.kind, mark.share) for mark in marks if isinstance(mark, Dropout)]
    assert kinds == [("dropout", 0.25), ("feature_dropout", 0.5)]


def test_gradients_reach_the_parameters() -> None:
    module = nn.Sequential(conv(2, 4), nn.Flatten(), nn.Linear(4 * 36, 3))
    found = traced(module, 2, 8, 8)
    origin = Constants(found, module)
    total: Tensor = sum(
        (origin.laid_out(at).sum() for at in found.layouts.values()), torch.zeros(())
    )
    total.backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert bool((parameter.grad == 1).all()), name
