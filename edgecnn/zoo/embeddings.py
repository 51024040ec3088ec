"""Networks that say how alike two things are."""

from __future__ import annotations

from torch import Tensor, nn


def _trunk(width: int, out: int, size: int) -> nn.Sequential:
    """Three convolutions that quarter an image, and a linear layer on what is left of it."""
    return nn.Sequential(
        nn.Conv2d(1, width, 3, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, 3, padding=1, bias=False),
        nn.BatchNorm2d(2 * width),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(2 * width, 2 * width, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(2 * width * (size // 4) ** 2, out),
    )


class FaceEmbedding(nn.Module):
    """Takes faces (N, 1, size, size); gives vectors (N, dimensions) of length 1.

    The dot product of two vectors says how alike the faces are.
    """

    def __init__(self, size: int = 24, dimensions: int = 16, width: int = 12) -> None:
        super().__init__()
        self.trunk = _trunk(width, dimensions, size)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.normalize(self.trunk(x), dim=1)


class FingerprintMatcher(nn.Module):
    """Takes two prints (N, 1, size, size); gives (N, 2) logits: different, or of one finger.

    Both pass through the same weights; the distances of their features are classified.
    """

    def __init__(self, size: int = 24, dimensions: int = 32, width: int = 12) -> None:
        super().__init__()
        self.trunk = _trunk(width, dimensions, size)
        self.classifier = nn.Sequential(nn.Linear(dimensions, 16), nn.ReLU(), nn.Linear(16, 2))

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        difference = self.trunk(first) - self.trunk(second)
        logits: Tensor = self.classifier(difference.abs())
        return logits
