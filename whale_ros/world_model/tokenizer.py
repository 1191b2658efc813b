"""The tokenizer: pictures to a few discrete tokens and back.

A frame becomes grid x grid tokens, each of `code_dim` numbers rounded to `code_levels` values
(finite scalar quantisation, arXiv 2309.15505). The decoder is given a real frame of the same scene
as reference, so that tokens need not spend their few bits on what never moves. They are computed
from one frame alone, so that a cached past stays valid however the window slides.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from whale_ros.world_model.blocks import SpatialBlock, learned_vectors
from whale_ros.world_model.config import NORM_GROUPS, TokenizerConfig

CHANGED_PIXEL_WEIGHT = 4.0  # pixels unlike the reference count this much more in the loss


class Tokenizer(nn.Module):
    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    def encode(self, frames: Tensor) -> Tensor:
        """Pictures (..., 3, R, R) float in [0, 1] to codes (..., N, C) long in [0, levels)."""
        flat = self.encoder(frames.flatten(0, -4))
        codes = (self._bounded(flat) + self._half).round().long()
        return codes.unflatten(0, frames.shape[:-3])

    def decode(self, codes: Tensor, reference: Tensor) -> Tensor:
        """Codes (B, N, C) and references (B, 3, R, R) to pictures (B, 3, R, R) in [0, 1]."""
        return self.decoder(self.values(codes), reference).clamp(0, 1)

    def values(self, codes: Tensor) -> Tensor:
        """Codes as numbers in [-1, 1], in which distances mean something."""
        return codes.float() / self._half - 1

    def forward(self, frames: Tensor, reference: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Reconstruction loss of frames (B, 3, R, R), given references of the same scenes."""
        bounded = self._bounded(self.encoder(frames))
        rounded = bounded + (bounded.round() - bounded).detach()  # straight-through gradient
        decoded = self.decoder(rounded / self._half, reference)
        changed = (frames - reference).abs().amax(1, keepdim=True) > 0.05
        weight = 1 + (CHANGED_PIXEL_WEIGHT - 1) * changed.float()
        error = (decoded - frames).square()
        mse = error.mean()
        return (weight * error).mean(), {"psnr_db": -10 * torch.log10(mse.detach())}

    @property
    def _half(self) -> float:
        return (self.config.code_levels - 1) / 2

    def _bounded(self, z: Tensor) -> Tensor:
        return torch.tanh(z) * (self._half + 0.49)


class Encoder(nn.Module):
    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.stem = Stem(config.channels, config.width)
        self.position = learned_vectors(config.tokens, config.width)
        self.blocks = nn.Sequential(
            *(SpatialBlock(config.width, config.heads) for _ in range(config.layers))
        )
        self.head = nn.Sequential(
            nn.LayerNorm(config.width), nn.Linear(config.width, config.code_dim)
        )

    def forward(self, frames: Tensor) -> Tensor:
        x = self.stem(frames)[-1].flatten(2).transpose(1, 2) + self.position
        return self.head(self.blocks(x))


class Decoder(nn.Module):
    """Blends the reference with newly painted pixels; a U-Net over the reference's features."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.grid = config.grid
        self.reference = Stem(config.channels, config.width)
        self.embed = nn.Linear(config.code_dim, config.width)
        self.join = nn.Linear(2 * config.width, config.width)
        self.position = learned_vectors(config.tokens, config.width)
        self.blocks = nn.Sequential(
            *(SpatialBlock(config.width, config.heads) for _ in range(config.layers))
        )
        outputs = list(reversed(config.channels))
        inputs = [config.width, *outputs[:-1]]
        self.up = nn.ModuleList(Up(i, o) for i, o in zip(inputs, outputs, strict=True))
        self.paint = nn.Conv2d(outputs[-1], 4 * 4, 3, padding=1)  # 2x2 pixels of RGB and blend

    def forward(self, values: Tensor, reference: Tensor) -> Tensor:
        features = self.reference(reference)
        bottom = features.pop().flatten(2).transpose(1, 2)
        x = self.join(torch.cat([self.embed(values), bottom], dim=-1)) + self.position
        x = self.blocks(x).transpose(1, 2).unflatten(2, (self.grid, self.grid))
        for up in self.up:
            x = up(x, features.pop())
        painted = F.pixel_shuffle(self.paint(x), 2)
        blend = painted[:, 3:].sigmoid()
        return blend * reference + (1 - blend) * (painted[:, :3] + 0.5)


class Stem(nn.Module):
    """Convolutions that halve a picture again and again; returns every level's features."""

    def __init__(self, channels: tuple[int, ...], width: int) -> None:
        super().__init__()
        sizes = [3, *channels, width]
        self.levels = nn.ModuleList(
            nn.Sequential(nn.Conv2d(i, o, 4, 2, 1), nn.GroupNorm(NORM_GROUPS, o), nn.SiLU())
            for i, o in zip(sizes[:-1], sizes[1:], strict=True)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        features = []
        x = x - 0.5
        for level in self.levels:
            x = level(x)
            features.append(x)
        return features


class Up(nn.Module):
    """Double the size, then merge with the reference's features of that size."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.grow = nn.Conv2d(inputs, 4 * outputs, 1)
        self.merge = nn.Sequential(
            nn.Conv2d(2 * outputs, outputs, 3, padding=1),
            nn.GroupNorm(NORM_GROUPS, outputs),
            nn.SiLU(),
        )

    def forward(self, x: Tensor, reference: Tensor) -> Tensor:
        x = F.pixel_shuffle(self.grow(x), 2)
        return x + self.merge(torch.cat([x, reference], dim=1))
