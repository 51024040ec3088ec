"""A prepared network takes part in what torch does with modules, and converts."""

from __future__ import annotations

import copy
import io
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import edgecnn
from edgecnn.errors import DataError, ModelFormatError, UnsupportedError, UserError
from edgecnn.ir import Graph
from edgecnn.verify import check
from tests.frontends.torch_modules import Call
from tests.qat.networks import Residual, batch, conv
from tests.qat.steps import trained

torch.set_num_threads(1)
SHAPE = (2, 8, 8)


def images(samples: int = 24, seed: int = 0) -> Tensor:
    return batch([SHAPE], samples, seed)[0]


def same(a: Graph, b: Graph) -> bool:
    """Whether two int8 graphs have the same constants and scales."""
    if a.tensors.keys() != b.tensors.keys():
        return False
    return all(
        t.quant == b.tensors[name].quant and np.array_equal(t.data, b.tensors[name].data)
        if t.data is not None
        else t.quant == b.tensors[name].quant
        for name, t in a.tensors.items()
    )


def test_parameters_are_there_before_the_first_batch() -> None:
    module = Residual()
    prepared = edgecnn.prepare_qat(module)
    named = dict(prepared.named_parameters())
    assert {f"module.{name}" for name, _ in module.named_parameters()} < named.keys()
    assert prepared.module is module
    before = {name: p.detach().clone() for name, p in named.items()}
    optimizer = torch.optim.SGD(prepared.parameters(), 0.1)
    prepared.train()
    for _ in range(2):
        prepared(images()).square().mean().backward()
        optimizer.step()
    assert named.keys() == dict(prepared.named_parameters()).keys()
    changed = [name for name, p in named.items() if not torch.equal(p, before[name])]
    assert "ranges.factors" in changed
    # Batch normalization takes a bias before it away.
    assert set(changed) >= set(named) - {"module.conv2.bias"}


def test_an_example_is_traced_at_once() -> None:
    with pytest.raises(UserError, match="does not know its input"):
        edgecnn.convert(edgecnn.prepare_qat(Residual()))
    prepared = edgecnn.prepare_qat(Residual(), torch.zeros(1, *SHAPE))
    with pytest.raises(UserError, match="has seen no data"):
        edgecnn.convert(prepared)


def test_without_data_there_is_nothing_to_evaluate() -> None:
    with pytest.raises(UserError, match="in train mode"):
        edgecnn.prepare_qat(Residual()).eval()(images())


def test_the_mode_is_that_of_the_module() -> None:
    assert edgecnn.prepare_qat(Residual().train()).training
    assert not edgecnn.prepare_qat(Residual().eval()).training


def test_state_goes_through_a_file() -> None:
    torch.manual_seed(1)
    prepared = trained(Residual(), images())
    file = io.BytesIO()
    torch.save(prepared.state_dict(), file)
    file.seek(0)
    other = edgecnn.prepare_qat(Residual(), images(1))
    other.load_state_dict(torch.load(file, weights_only=True))
    assert torch.equal(other.eval()(images(5, 3)), prepared.eval()(images(5, 3)))
    assert same(edgecnn.convert(other), edgecnn.convert(prepared))


def test_a_copy_is_trained_apart() -> None:
    prepared = trained(Residual(), images())
    before = copy.deepcopy(prepared)
    expected = edgecnn.convert(prepared)
    trained_on = torch.optim.SGD(prepared.parameters(), 1.0)
    prepared.train()(images()).square().sum().backward()
    trained_on.step()
    before.eval()(images())
    assert same(edgecnn.convert(before), expected)
    assert not same(edgecnn.convert(prepared), expected)


def test_batch_statistics_are_those_of_plain_training() -> None:
    """Only what is rounded differs: weights of a few bits less, and activations."""
    torch.manual_seed(2)
    plain = nn.Sequential(conv(2, 4), nn.BatchNorm2d(4, momentum=0.3), nn.ReLU())
    prepared = edgecnn.prepare_qat(copy.deepcopy(plain)).train()
    plain.train()
    for seed in range(4):
        np.testing.assert_allclose(
            prepared(images(seed=seed)).detach(), plain(images(seed=seed)).detach(), atol=0.1
        )
    norm, expected = prepared.module[1], plain[1]
    assert isinstance(expected, nn.BatchNorm2d)
    assert int(norm.num_batches_tracked) == 4
    np.testing.assert_allclose(norm.running_mean, expected.running_mean, atol=0.01)
    np.testing.assert_allclose(norm.running_var, expected.running_var, rtol=0.02)


def test_gradients_are_those_of_plain_training() -> None:
    torch.manual_seed(3)
    plain = Residual().train()
    prepared = edgecnn.prepare_qat(copy.deepcopy(plain)).train()
    for network in (plain, prepared):
        network(images()).square().mean().backward()
    for name, parameter in plain.named_parameters():
        other = prepared.get_parameter(f"module.{name}").grad
        assert parameter.grad is not None
        assert other is not None
        error = float((parameter.grad - other).norm() / (parameter.grad.norm() + 1e-3))
        assert error < 0.1, name


def test_frozen_statistics_stay() -> None:
    prepared = edgecnn.prepare_qat(Residual(), freeze_batch_norm_after=2).train()
    for seed in range(2):
        prepared(images(seed=seed))
    kept = prepared.module.bn1.running_mean.clone()
    prepared(images(seed=5) + 3).sum().backward()
    assert torch.equal(prepared.module.bn1.running_mean, kept)
    assert prepared.module.bn1.weight.grad is not None
    # Now training computes what evaluation does.
    trained_output = prepared(images())
    assert torch.equal(prepared.eval()(images()), trained_output)


def test_a_norm_in_eval_mode_is_frozen() -> None:
    prepared = edgecnn.prepare_qat(Residual()).train()
    prepared.module.bn1.eval()
    prepared(images())
    assert int(prepared.module.bn1.num_batches_tracked) == 0
    assert int(prepared.module.bn2.num_batches_tracked) == 1


@pytest.mark.parametrize("layer", [nn.Dropout(0.5), nn.Dropout2d(0.5), nn.AlphaDropout(0.5)])
def test_dropout_drops_in_training_only(layer: nn.Module) -> None:
    prepared = edgecnn.prepare_qat(nn.Sequential(conv(2, 8), layer)).train()
    x = images(2)
    first, second = prepared(x), prepared(x)
    assert not torch.equal(first, second)
    if isinstance(layer, nn.Dropout):
        assert 0.4 < float((first == 0).float().mean()) < 0.6
    if isinstance(layer, nn.Dropout2d):
        zeros = (first == 0).flatten(2).float().mean(2)  # few values of a kept channel round to 0
        assert bool(((zeros == 1) | (zeros < 0.3)).all())
        assert 2 <= int((zeros == 1).sum()) <= 14
    prepared.eval()
    assert torch.equal(prepared(x), prepared(x))


@pytest.mark.parametrize(
    "layers",
    [
        (conv(2, 4), nn.Flatten(), nn.Dropout(0.5), nn.Linear(144, 4)),
        (conv(2, 4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(144, 4)),
        (conv(2, 4), nn.Flatten(), nn.Dropout(0.5), nn.ReLU()),
        (nn.Dropout(0.5), conv(2, 4)),
        (conv(2, 4), nn.Dropout(0.5), nn.BatchNorm2d(4), nn.ReLU()),
    ],
)
def test_dropout_drops_wherever_it_is(layers: tuple[nn.Module, ...]) -> None:
    prepared = edgecnn.prepare_qat(nn.Sequential(*layers)).train()
    x = images(4)
    assert float((prepared(x) - prepared(x)).detach().abs().max()) > 0.05
    prepared.eval()
    assert torch.equal(prepared(x), prepared(x))
    edgecnn.convert(prepared)


def test_outputs_are_structured_as_the_module_gives_them() -> None:
    both = Call(lambda m, x: {"a": m.a(x), "b": (m.b(x).argmax(1),)}, a=conv(2, 3), b=conv(2, 3))
    prepared = edgecnn.prepare_qat(both).train()
    outputs = prepared(images())
    assert outputs.keys() == {"a", "b"}
    assert outputs["a"].shape == (24, 3, 6, 6)
    assert outputs["b"][0].dtype == torch.int64


def test_ranges_are_found_on_the_first_batches_and_then_learned() -> None:
    prepared = edgecnn.prepare_qat(nn.Sequential(conv(2, 3), nn.ReLU()), range_batches=2).train()
    optimizer = torch.optim.SGD(prepared.parameters(), 0.1)
    found = []
    for scale in (1.0, 3.0, 9.0):
        optimizer.zero_grad()
        prepared(images() * scale).square().mean().backward()
        optimizer.step()
        found.append(prepared.ranges.found[0].clone())
    assert int(prepared.ranges.seen) == 2
    assert float(found[1][1]) > 1.5 * float(found[0][1])
    assert torch.equal(found[1], found[2])
    assert not prepared.ranges.factors[2:].any()
    assert prepared.ranges.factors[0].any()


def test_a_parameter_that_only_torch_computes_with_is_trained() -> None:
    layer = nn.utils.parametrizations.weight_norm(conv(2, 4))
    prepared = trained(nn.Sequential(layer, nn.ReLU()), images())
    assert prepared.module[0].parametrizations.weight.original0.grad.abs().sum() > 0


def test_converted_networks_are_exported_and_proven(tmp_path: Any) -> None:
    int8 = edgecnn.convert(trained(Residual(), images()), name="trained")
    check(int8)
    assert int8.is_quantized
    assert int8.name == "trained"
    result = edgecnn.export(int8, tmp_path / "build", runners=("tflm", "host-c"))
    assert result.parity.passed


def test_autocast_changes_nothing() -> None:
    prepared = trained(Residual(), images()).eval()
    expected = prepared(images())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(prepared(images()), expected)


@pytest.mark.slow
def test_a_compiled_network_converts() -> None:
    prepared = trained(Residual(), images()).eval()
    compiled: Any = torch.compile(prepared)
    assert torch.equal(compiled(images()), prepared(images()))
    assert same(edgecnn.convert(compiled), edgecnn.convert(prepared))


# --- refusals -------------------------------------------------------------------------------------


def test_what_cannot_be_exported_is_refused() -> None:
    with pytest.raises(UnsupportedError, match="layer_norm"):
        edgecnn.prepare_qat(nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)), torch.zeros(1, 4))
    with pytest.raises(UnsupportedError, match="layer_norm"):
        edgecnn.prepare_qat(nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)))(torch.zeros(3, 4))


def test_recurrent_layers_are_refused() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm = nn.LSTM(3, 4, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.lstm(x)[0]
            return y

    with pytest.raises(UserError, match="lstm"):
        edgecnn.prepare_qat(Recurrent(), torch.zeros(1, 5, 3))


def test_arithmetic_on_parameters_is_refused() -> None:
    divided = Call(lambda m, x: m.a(x) / m.scale, a=conv(2, 3))
    divided.register_parameter("scale", nn.Parameter(torch.rand(3, 1, 1) + 1))
    with pytest.raises(ModelFormatError, match="computed from a parameter"):
        edgecnn.prepare_qat(divided, torch.zeros(1, *SHAPE))
    divided.scale.requires_grad_(False)
    edgecnn.prepare_qat(divided, torch.zeros(1, *SHAPE))


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(UserError, match=r"nn\.Module"):
        edgecnn.prepare_qat("network.onnx")
    with pytest.raises(UserError, match="range_batches"):
        edgecnn.prepare_qat(Residual(), range_batches=0)
    with pytest.raises(UserError, match="prepare_qat gave"):
        edgecnn.convert(Residual())
    prepared = edgecnn.prepare_qat(Residual(), torch.zeros(1, *SHAPE)).train()
    with pytest.raises(UserError, match="was prepared for inputs of"):
        prepared(torch.zeros(2, 2, 9, 9))
    with pytest.raises(UserError, match="takes tensors"):
        prepared([1.0])


def test_data_that_are_not_finite_are_refused() -> None:
    prepared = edgecnn.prepare_qat(Residual()).train()
    with pytest.raises(DataError, match="not finite"):
        prepared(torch.full((2, *SHAPE), torch.nan))
