"""Networks whose output is an image: an autoencoder and a U-Net."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgecnn.zoo.blocks import ConvBlock


class Autoencoder(nn.Module):
    """Fully connected, through a code of a few numbers. Takes and gives (N, channels, H, W)."""

    def __init__(self, shape: tuple[int, int, int] = (1, 8, 8), hidden: int = 64, code: int = 16):
        super().__init__()
        self.shape = shape
        size = shape[0] * shape[1] * shape[2]
        self.encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(size, hidden), nn.ReLU(), nn.Linear(hidden, code), nn.ReLU()
        )
        self.decoder = nn.Sequential(
            nn.Linear(code, hidden), nn.ReLU(), nn.Linear(hidden, size), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.decoder(self.encoder(x)).unflatten(1, self.shape)
        return result


class UNet(nn.Module):
    """Two levels down and up, with shortcuts (Ronneberger et al., arXiv:1505.04597).

    Takes (N, in_channels, H, W), H and W divisible by 4; gives logits (N, classes, H, W).
    """

    def __init__(self, in_channels: int = 3, classes: int = 3, width: int = 8) -> None:
        super().__init__()
        self.down1 = ConvBlock(in_channels, width)
        self.down2 = ConvBlock(width, 2 * width)
        self.bottom = ConvBlock(2 * width, 4 * width)
        self.pool = nn.MaxPool2d(2)
        self.up2 = nn.ConvTranspose2d(4 * width, 2 * width, 2, stride=2)
        self.merge2 = ConvBlock(4 * width, 2 * width)
        self.up1 = nn.ConvTranspose2d(2 * width, width, 2, stride=2)
        self.merge1 = ConvBlock(2 * width, width)
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        fine = self.down1(x)
        coarse = self.down2(self.pool(fine))
        up = self.up2(self.bottom(self.pool(coarse)))
        up = self.merge2(torch.cat([up, coarse], dim=1))
        up = self.merge1(torch.cat([self.up1(up), fine], dim=1))
        logits: Tensor = self.head(up)
        return logits
