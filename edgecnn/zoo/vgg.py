"""VGG (Simonyan and Zisserman, arXiv:1409.1556): 3x3 convolutions, pooling, wide linear layers."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class VGG(nn.Module):
    """Stages of 3x3 convolutions, each (depth, channels) and halved by pooling; linear layers.

    Takes (N, in_channels, size, size), size divisible by ``2 ** len(stages)``; gives
    (N, classes) logits.
    """

    def __init__(
        self,
        in_channels: int = 1,
        classes: int = 10,
        size: int = 8,
        stages: Sequence[tuple[int, int]] = ((1, 16), (2, 32)),
        hidden: Sequence[int] = (64,),
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = in_channels
        for depth, width in stages:
            for _ in range(depth):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        head: list[nn.Module] = [nn.Flatten()]
        units = channels * (size >> len(stages)) ** 2
        for width in hidden:
            head += [nn.Linear(units, width), nn.ReLU(), nn.Dropout(dropout)]
            units = width
        self.classifier = nn.Sequential(*head, nn.Linear(units, classes))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(x))
        return logits


class VGG16(VGG):
    """The original network: (N, 3, 224, 224) to 1,000 classes, 138 million parameters."""

    def __init__(self) -> None:
        super().__init__(
            in_channels=3,
            classes=1000,
            size=224,
            stages=((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)),
            hidden=(4096, 4096),
            dropout=0.5,
        )
