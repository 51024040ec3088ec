"""What the reference networks are for: a network, its data, how it learns and how it is scored.

A score is at most 1, and larger is better: the share of right answers unless its function says
otherwise. Float and int8 networks are scored alike, by their outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from edgecnn import zoo
from edgecnn.ir import Array
from edgecnn.zoo import data
from edgecnn.zoo.data import Split
from edgecnn.zoo.training import Loss, load_digits, train

#: Scores outputs (N, …) by the labels of the samples.
Score = Callable[[Array, Array], float]


def accuracy(outputs: Array, labels: Array) -> float:
    """Share of the answers, along axis 1 of the outputs, that are right; pixels count singly."""
    return float(np.mean(outputs.argmax(axis=1) == labels))


def explained(outputs: Array, wanted: Array) -> float:
    """Share of the variance of the wanted values that the outputs explain."""
    return float(1 - np.mean((outputs - wanted) ** 2) / np.var(wanted))


def verification(vectors: Array, people: Array) -> float:
    """Share of the pairs that a threshold on the dot product tells apart, at the best threshold.

    Pairs of one person and pairs of two count as if they were equally many.
    """
    alike = vectors @ vectors.T
    upper = np.triu_indices(len(vectors), 1)
    scores, same = alike[upper], (people[:, None] == people[None, :])[upper]
    order = np.argsort(-scores, kind="stable")
    accepted = np.cumsum(same[order]) / same.sum()
    wrongly = np.cumsum(~same[order]) / (~same).sum()
    return float(0.5 + 0.5 * np.max(accepted - wrongly))


def contrastive(vectors: Tensor, labels: Tensor) -> Tensor:
    """Draws vectors of one label together (Khosla et al., arXiv:2004.11362, temperature 0.1)."""
    own = torch.eye(len(vectors), dtype=torch.bool)
    scores = (vectors @ vectors.T / 0.1).masked_fill(own, -1e4)
    same = (labels[:, None] == labels[None, :]) & ~own
    log_share = scores - scores.logsumexp(dim=1, keepdim=True)
    pairs = same.sum(dim=1).clamp(min=1)
    return -((log_share * same).sum(dim=1) / pairs).mean()


@dataclass(frozen=True)
class Task:
    """One network and what it learns."""

    network: Callable[[], nn.Module]
    data: Callable[[], Split]
    epochs: int = 15
    learning_rate: float = 3e-3
    loss: Loss = nn.functional.cross_entropy
    score: Score = accuracy

    def train(self, split: Split) -> nn.Module:
        """A new network, trained on the data; the same one at each call."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = self.network()
        return train(
            network,
            split.train_x,
            split.train_y,
            self.epochs,
            learning_rate=self.learning_rate,
            loss=self.loss,
        )


def digits() -> Split:
    """scikit-learn's digits, to classify."""
    return Split(*load_digits())


def digits_to_rebuild() -> Split:
    """The digits, each with itself as what is wanted."""
    x, _, test_x, _ = load_digits()
    return Split(x, x, test_x, test_x)


def _digits_between(low: int, high: int) -> Split:
    x, y, test_x, test_y = load_digits()
    keep, keep_test = (y >= low) & (y < high), (test_y >= low) & (test_y < high)
    return Split(x[keep], y[keep] - low, test_x[keep_test], test_y[keep_test] - low)


def later_digits() -> Split:
    """The digits 5 to 9, as classes 0 to 4."""
    return _digits_between(5, 10)


def transferred() -> nn.Module:
    """A new head on a MobileNetV2 that has learned to tell the digits 0 to 4 apart."""
    layers = ((1, 16, 1), (4, 24, 1), (4, 24, 1), (4, 32, 2))
    body = zoo.MobileNetV2(in_channels=1, classes=5, stem=16, layers=layers, last=96)
    first = _digits_between(0, 5)
    train(body, first.train_x, first.train_y, epochs=10)
    return zoo.TransferClassifier(body.features, features=96 * 2 * 2, classes=5)


TASKS: dict[str, Task] = {
    "csp-mish": Task(zoo.CspMishNet, data.coloured_shapes, epochs=15, learning_rate=1e-2),
    "vgg": Task(zoo.VGG, digits, epochs=15),
    "mobilenet-v1": Task(zoo.MobileNetV1, data.coloured_shapes, epochs=15, learning_rate=1e-2),
    "mobilenet-v2": Task(zoo.MobileNetV2, data.coloured_shapes, epochs=12, learning_rate=1e-2),
    "mobilenet-v3": Task(zoo.MobileNetV3, data.coloured_shapes, epochs=12, learning_rate=1e-2),
    "keywords": Task(zoo.KeywordDSCNN, data.keyword_spectrograms, epochs=10),
    "autoencoder": Task(
        zoo.Autoencoder,
        digits_to_rebuild,
        epochs=60,
        learning_rate=1e-2,
        loss=nn.functional.mse_loss,
        score=explained,
    ),
    "u-net": Task(zoo.UNet, data.shapes_to_segment, epochs=15, learning_rate=1e-2),
    "transfer": Task(transferred, later_digits, epochs=20, learning_rate=1e-2),
    "face-embedding": Task(
        zoo.FaceEmbedding, data.faces, epochs=12, loss=contrastive, score=verification
    ),
    "fingerprints": Task(zoo.FingerprintMatcher, data.fingerprint_pairs, epochs=10),
    "hyperspectral": Task(zoo.SpectralSpatialNet, data.hyperspectral_patches, epochs=15),
}


def gestures(folder: str) -> Task:
    """Digits drawn in the air, from a folder of strokes."""
    return Task(zoo.GestureNet, lambda: data.load_strokes(folder), epochs=20)
