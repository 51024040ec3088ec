"""Small classifiers: a single wide convolution, and one that is regularized with dropout."""

from __future__ import annotations

from torch import Tensor, nn


class SimpleCNN(nn.Module):
    """A 7x7 convolution with stride 2, ReLU, global average pooling and a linear classifier.

    Takes (N, in_channels, H, W) of any size; gives (N, classes) logits.
    """

    def __init__(self, in_channels: int = 3, classes: int = 10, width: int = 64) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, width, kernel_size=7, stride=2, padding=3)
        self.relu = nn.ReLU()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.relu(self.conv(x))).flatten(1)
        logits: Tensor = self.classifier(x)
        return logits


class DropoutClassifier(nn.Module):
    """Two convolutions, then fully connected layers on the flattened image, with dropout.

    Takes (N, in_channels, size, size), size divisible by 4; gives (N, classes) logits.
    """

    def __init__(
        self,
        in_channels: int = 3,
        classes: int = 10,
        size: int = 32,
        width: int = 16,
        hidden: int = 64,
        dropout: float = 0.25,
    ) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, width, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(width, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Dropout2d(dropout),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(2 * width * (size // 4) ** 2, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(x))
        return logits
