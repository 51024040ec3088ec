"""Residual networks of basic blocks (He et al., Deep Residual Learning, arXiv:1512.03385)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, which is a 1x1 convolution where shapes change."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU()
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        result: Tensor = self.relu(self.bn2(self.conv2(y)) + shortcut)
        return result


class DeepResidualNetwork(nn.Module):
    """Stem, stages of residual blocks that halve the image and double the width, classifier.

    ``blocks[i]`` is the depth of stage i, ``width`` the channels of the first. Takes
    (N, in_channels, H, W); gives (N, classes) logits.
    """

    def __init__(
        self,
        in_channels: int = 3,
        classes: int = 10,
        blocks: Sequence[int] = (2, 2, 2),
        width: int = 16,
    ) -> None:
        super().__init__()
        self._channels = width
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )
        self.stages = nn.Sequential(
            *(
                self._make_layer(width << stage, depth, stride=1 if stage == 0 else 2)
                for stage, depth in enumerate(blocks)
            )
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(self._channels, classes)

    def _make_layer(self, channels: int, depth: int, stride: int) -> nn.Sequential:
        """A stage; its first block takes the stride and, where shapes change, a downsample path."""
        downsample: nn.Module | None = None
        if stride != 1 or self._channels != channels:
            downsample = nn.Sequential(
                nn.Conv2d(self._channels, channels, 1, stride, bias=False),
                nn.BatchNorm2d(channels),
            )
        layers = [ResidualBlock(self._channels, channels, stride, downsample)]
        layers += [ResidualBlock(channels, channels) for _ in range(depth - 1)]
        self._channels = channels
        return nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.stages(self.stem(x))).flatten(1)
        logits: Tensor = self.classifier(x)
        return logits


class DigitsResidualNet(DeepResidualNetwork):
    """The demo's network: two stages of one block each, for 8x8 grey digits."""

    def __init__(self, width: int = 16) -> None:
        super().__init__(in_channels=1, classes=10, blocks=(1, 1), width=width)
