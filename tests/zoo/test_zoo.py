from __future__ import annotations

import importlib
import time

import numpy as np
import pytest
import torch
from torch import nn

from edgecnn import zoo
from edgecnn.zoo.training import accuracy, load_digits, predict, train
from tests.torch_helpers import check_module, counts

NETWORKS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "ConvBlockNet": (zoo.ConvBlockNet(widths=(8, 16)), (1, 3, 17, 16)),
    "SimpleCNN": (zoo.SimpleCNN(), (1, 3, 15, 16)),
    "SimpleCNN digits": (zoo.SimpleCNN(in_channels=1), (1, 1, 8, 8)),
    "DeepResidualNetwork": (zoo.DeepResidualNetwork(blocks=(2, 1, 1), width=8), (1, 3, 13, 12)),
    "DropoutClassifier": (zoo.DropoutClassifier(size=8), (1, 3, 8, 8)),
    "DigitsResidualNet": (zoo.DigitsResidualNet(), (1, 1, 8, 8)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_imports_without_a_transpose(name: str) -> None:
    module, shape = NETWORKS[name]
    graph = check_module(module, shape)
    kinds = counts(graph)
    assert kinds["transpose"] == kinds["batch_norm"] == kinds["relu"] == 0
    assert graph.tensors[graph.outputs[0]].shape == (1, 10)


def test_simple_cnn_starts_as_documented() -> None:
    conv = zoo.SimpleCNN().conv
    assert (conv.in_channels, conv.out_channels, conv.kernel_size) == (3, 64, (7, 7))
    assert (conv.stride, conv.padding) == ((2, 2), (3, 3))


def test_every_name_is_exposed() -> None:
    assert all(issubclass(getattr(zoo, name), nn.Module) for name in zoo.__all__)
    with pytest.raises(AttributeError, match="Nothing"):
        zoo.Nothing  # noqa: B018
    assert importlib.import_module("edgecnn.zoo") is zoo


def test_digits_are_split_alike_each_time() -> None:
    first, second = load_digits(), load_digits()
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert first.train_x.shape[1:] == (1, 8, 8)
    assert first.train_x.dtype == np.float32
    assert (first.train_x.min(), first.train_x.max()) == (0, 1)
    assert len(first.train_x) + len(first.test_x) == 1797
    shares = [np.bincount(y, minlength=10) / len(y) for y in (first.train_y, first.test_y)]
    np.testing.assert_allclose(*shares, atol=0.005)


def test_training_is_deterministic_and_touches_no_global_state() -> None:
    digits = load_digits()
    state = torch.get_rng_state()
    runs = [
        predict(train(zoo.DropoutClassifier(1, size=8, width=4), digits.train_x[:200],
                      digits.train_y[:200], epochs=1, seed=3), digits.test_x[:8])
        for _ in range(2)
    ]  # fmt: skip
    np.testing.assert_array_equal(*runs)
    if torch.equal(state, torch.get_rng_state()):
        return
    # Only the constructors drew from the global generator.
    torch.set_rng_state(state)
    for _ in range(2):
        zoo.DropoutClassifier(1, size=8, width=4)
    drawn = torch.get_rng_state()
    torch.set_rng_state(state)
    train(zoo.DropoutClassifier(1, size=8, width=4), digits.train_x[:64], digits.train_y[:64], 1)
    zoo.DropoutClassifier(1, size=8, width=4)
    assert torch.equal(drawn, torch.get_rng_state())


def test_the_demo_network_learns_the_digits() -> None:
    digits = load_digits()
    start = time.monotonic()
    model = train(zoo.DigitsResidualNet(), digits.train_x, digits.train_y)
    assert time.monotonic() - start < 60
    assert not model.training
    assert accuracy(model, digits.test_x, digits.test_y) >= 0.98
