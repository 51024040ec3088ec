"""Loads scikit-learn's digits and trains small classifiers on the CPU in seconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from edgecnn.ir import Array

#: Compares outputs with what they should be; smaller is better.
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

#: Largest value of a pixel in scikit-learn's digits.
_FULL = 16.0


class Digits(NamedTuple):
    """Images (N, 1, 8, 8) float32 in [0, 1] and int64 labels (N), to train and to test with."""

    train_x: Array
    train_y: Array
    test_x: Array
    test_y: Array


def load_digits(test_fraction: float = 0.25, seed: int = 0) -> Digits:
    """Load the 1,797 digits of scikit-learn, split alike at each call, each class in proportion.

    No network access: the data comes with scikit-learn.
    """
    from sklearn import datasets
    from sklearn.model_selection import train_test_split

    images, labels = datasets.load_digits(return_X_y=True)
    x = (images.reshape(-1, 1, 8, 8) / _FULL).astype(np.float32)
    train_x, test_x, train_y, test_y = train_test_split(
        x, labels.astype(np.int64), test_size=test_fraction, random_state=seed, stratify=labels
    )
    return Digits(train_x, train_y, test_x, test_y)


def train(
    model: nn.Module,
    x: Array | Sequence[Array],
    y: Array,
    epochs: int = 15,
    seed: int = 0,
    *,
    batch_size: int = 64,
    learning_rate: float = 3e-3,
    loss: Loss = nn.functional.cross_entropy,
) -> nn.Module:
    """Train a network in place with Adam and return it in eval mode.

    ``x`` is float32 (N, …), or a tuple of such arrays for several inputs; ``y`` is what ``loss``
    compares the outputs with: integer labels (N) by default. The learning rate falls to zero in
    one cycle. The weights, but for frozen ones, are drawn anew from the seed, so that the same
    call gives the same network on the same machine; the global random state is left as it was.
    """
    inputs, labels = _tensors(x), torch.as_tensor(y)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _reset(model)
        steps = epochs * -(-len(labels) // batch_size)
        learned = [p for p in model.parameters() if p.requires_grad]
        optimizer = torch.optim.Adam(learned, lr=learning_rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=learning_rate, total_steps=steps
        )
        model.train()
        for _ in range(epochs):
            for batch in torch.randperm(len(labels)).split(batch_size):
                optimizer.zero_grad()
                loss(model(*(part[batch] for part in inputs)), labels[batch]).backward()
                optimizer.step()
                schedule.step()
    return model.eval()


def _tensors(x: Array | Sequence[Array]) -> list[torch.Tensor]:
    """The inputs of a network, one or several."""
    arrays = [x] if isinstance(x, np.ndarray) else x
    return [torch.from_numpy(np.ascontiguousarray(array)) for array in arrays]


def _reset(model: nn.Module) -> None:
    for part in model.modules():
        reset: Any = getattr(part, "reset_parameters", None)
        if callable(reset) and all(p.requires_grad for p in part.parameters()):
            reset()


def predict(model: nn.Module, x: Array | Sequence[Array], batch_size: int = 256) -> Array:
    """Outputs (N, …), float32, in eval mode; the model's own mode is restored."""
    training = model.training
    model.eval()
    with torch.no_grad():
        batches = zip(*(part.split(batch_size) for part in _tensors(x)), strict=True)
        outputs = [model(*batch).numpy() for batch in batches]
    model.train(training)
    return np.concatenate(outputs)


def accuracy(model: nn.Module, x: Array, y: Array) -> float:
    """Share of the samples whose largest logit is that of their label."""
    return float(np.mean(predict(model, x).argmax(axis=1) == np.asarray(y)))
