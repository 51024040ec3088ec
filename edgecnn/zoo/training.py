"""Loads scikit-learn's digits and trains small classifiers on the CPU in seconds."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from edgecnn.ir import Array

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
    x: Array,
    y: Array,
    epochs: int = 15,
    seed: int = 0,
    *,
    batch_size: int = 64,
    learning_rate: float = 3e-3,
) -> nn.Module:
    """Train a classifier in place with Adam and return it in eval mode.

    ``x`` is float32 (N, C, H, W), ``y`` integer labels (N). The learning rate falls to zero in
    one cycle. The weights are drawn anew from the seed, so that the same call gives the same
    network on the same machine; the global random state is left as it was.
    """
    inputs, labels = torch.from_numpy(np.ascontiguousarray(x)), torch.as_tensor(y)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        _reset(model)
        steps = epochs * -(-len(inputs) // batch_size)
        optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=learning_rate, total_steps=steps
        )
        model.train()
        for _ in range(epochs):
            for batch in torch.randperm(len(inputs)).split(batch_size):
                optimizer.zero_grad()
                loss = nn.functional.cross_entropy(model(inputs[batch]), labels[batch])
                loss.backward()
                optimizer.step()
                schedule.step()
    return model.eval()


def _reset(model: nn.Module) -> None:
    for part in model.modules():
        reset: Any = getattr(part, "reset_parameters", None)
        if callable(reset):
            reset()


def predict(model: nn.Module, x: Array, batch_size: int = 256) -> Array:
    """Logits (N, classes), float32, in eval mode; the model's own mode is restored."""
    training = model.training
    model.eval()
    with torch.no_grad():
        inputs = torch.from_numpy(np.ascontiguousarray(x))
        logits = [model(batch).numpy() for batch in inputs.split(batch_size)]
    model.train(training)
    return np.concatenate(logits)


def accuracy(model: nn.Module, x: Array, y: Array) -> float:
    """Share of the samples whose largest logit is that of their label."""
    return float(np.mean(predict(model, x).argmax(axis=1) == np.asarray(y)))
