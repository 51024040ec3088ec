"""Networks for sound, spectra and motion: what comes as a sequence of measurements."""

from __future__ import annotations

from torch import Tensor, nn

from edgecnn.zoo.mobilenet import ConvNormAct


class KeywordDSCNN(nn.Module):
    """Depthwise separable CNN for keywords (Zhang et al., arXiv:1711.07128).

    Takes spectrograms (N, 1, frames, bands); gives (N, words) logits.
    """

    def __init__(self, words: int = 8, width: int = 32, depth: int = 3) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, width, (10, 4), stride=2, padding=(5, 1), bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )
        self.blocks = nn.Sequential(
            *(
                nn.Sequential(
                    ConvNormAct(width, width, 3, 1, width, nn.ReLU),
                    ConvNormAct(width, width, 1, activation=nn.ReLU),
                )
                for _ in range(depth)
            )
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(width, words)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.pool(self.blocks(self.stem(x))).flatten(1))
        return logits


class SpectralSpatialNet(nn.Module):
    """1-D convolutions over the bands of every pixel, then 2-D ones over the pixels of a patch.

    Takes (N, 1, bands, size * size): the pixels of a square patch, row by row. Gives
    (N, classes) logits.
    """

    def __init__(self, bands: int = 32, size: int = 5, classes: int = 8, width: int = 8) -> None:
        super().__init__()
        self.size = size
        self.spectral = nn.Sequential(
            nn.Conv2d(1, width, (7, 1), (2, 1), (3, 0)),
            nn.ReLU(),
            nn.Conv2d(width, width, (5, 1), (2, 1), (2, 0)),
            nn.ReLU(),
        )
        self.spatial = nn.Sequential(
            nn.Conv2d(width * (bands // 4), 32, 1), nn.ReLU(), nn.Conv2d(32, 32, 3), nn.ReLU()
        )
        self.classifier = nn.Linear(32 * (size - 2) ** 2, classes)

    def forward(self, x: Tensor) -> Tensor:
        spectra = self.spectral(x).flatten(1, 2)
        image = spectra.unflatten(2, (self.size, self.size))
        logits: Tensor = self.classifier(self.spatial(image).flatten(1))
        return logits


class GestureNet(nn.Module):
    """1-D convolutions over time. Takes (N, channels, steps); gives (N, classes) logits."""

    def __init__(self, channels: int = 2, classes: int = 10, width: int = 16) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for out in (width, 2 * width, 4 * width):
            layers += [
                nn.Conv1d(channels, out, 5, padding=2, bias=False),
                nn.BatchNorm1d(out),
                nn.ReLU(),
                nn.MaxPool1d(2),
            ]
            channels = out
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool1d(2)
        self.classifier = nn.Linear(2 * channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.pool(self.features(x)).flatten(1))
        return logits
