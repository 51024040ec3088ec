"""Convolution, batch normalization and ReLU in blocks that keep the image's size."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class ConvBlock(nn.Sequential):
    """Convolution with 'same' padding, batch normalization, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int = 3) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, kernel_size, padding="same", bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(),
        )


class ConvBlockNet(nn.Module):
    """Blocks of growing width, halved by maximum pooling after each, and a linear classifier.

    Takes (N, in_channels, H, W) with H and W at least ``2 ** len(widths)``; gives (N, classes)
    logits.
    """

    def __init__(
        self,
        in_channels: int = 3,
        classes: int = 10,
        widths: Sequence[int] = (16, 32),
        kernel_size: int = 3,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in widths:
            layers += [ConvBlock(in_channels, width, kernel_size), nn.MaxPool2d(2)]
            in_channels = width
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(in_channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.features(x)).flatten(1)
        logits: Tensor = self.classifier(x)
        return logits
