"""The spatio-temporal transformer block that tokenizer and dynamics are built from.

Shapes: B batch, T time, N tokens of a frame, D width, H heads.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

KeyValues = tuple[Tensor, Tensor]  # (B*N, H, T, D/H) each, keys after rotation
Rotation = tuple[Tensor, Tensor]  # cosines and sines, (T, D/H/2) each


class SpatialBlock(nn.Module):
    """Attention within a frame, then an MLP; for pictures (B, N, D)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.mlp = nn.Sequential(nn.LayerNorm(width), mlp(width))

    def forward(self, x_BND: Tensor) -> Tensor:
        x_BND = x_BND + self.attention.full(self.norm(x_BND))
        return x_BND + self.mlp(x_BND)


class SpatioTemporalBlock(nn.Module):
    """Spatial attention, causal temporal attention, MLP (arXiv 2402.15391, section 2).

    Each is modulated by the frame's condition through adaptive layer norm, gated from zero.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = nn.Linear(width, 9 * width)
        self.spatial = Attention(width, heads)
        self.temporal = Attention(width, heads)
        self.mlp = mlp(width)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)

    def forward(
        self,
        x_BTND: Tensor,
        condition_BTD: Tensor,
        rotation: Rotation,
        past: KeyValues | None = None,
    ) -> tuple[Tensor, KeyValues]:
        """Also returns keys and values of past and present, to continue from."""
        batch, time, tokens, width = x_BTND.shape
        parts = self.modulation(condition_BTD).unsqueeze(2).chunk(9, dim=-1)

        x = self.norm(x_BTND) * (1 + parts[0]) + parts[1]
        x = self.spatial.full(x.reshape(batch * time, tokens, width))
        x_BTND = x_BTND + (1 + parts[2]) * x.reshape(batch, time, tokens, width)

        x = self.norm(x_BTND) * (1 + parts[3]) + parts[4]
        x = x.transpose(1, 2).reshape(batch * tokens, time, width)
        x, key_values = self.temporal.causal(x, rotation, past)
        x = x.reshape(batch, tokens, time, width).transpose(1, 2)
        x_BTND = x_BTND + (1 + parts[5]) * x

        x = self.norm(x_BTND) * (1 + parts[6]) + parts[7]
        return x_BTND + (1 + parts[8]) * self.mlp(x), key_values


class Attention(nn.Module):
    """Multi-head attention with normalised queries and keys."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width)
        self.query_norm = nn.RMSNorm(width // heads)
        self.key_norm = nn.RMSNorm(width // heads)
        nn.init.normal_(self.out.weight, std=0.02)

    def full(self, x_BND: Tensor) -> Tensor:
        """Every token sees every token."""
        query, key, value = self._project(x_BND)
        return self._merge(F.scaled_dot_product_attention(query, key, value))

    def causal(
        self, x_BTD: Tensor, rotation: Rotation, past: KeyValues | None
    ) -> tuple[Tensor, KeyValues]:
        """Each time sees itself and what came before, with rotary positions.

        Only differences of positions matter, so the keys of a window that slides stay valid.
        """
        query, key, value = self._project(x_BTD)
        query, key = rotate(query, rotation), rotate(key, rotation)
        if past is not None:
            key = torch.cat([past[0], key], dim=2)
            value = torch.cat([past[1], value], dim=2)
        length, new = key.shape[2], query.shape[2]
        mask = None
        if new > 1:
            times = torch.arange(length, device=x_BTD.device)
            mask = times[None, :] <= times[length - new :, None]
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self._merge(attended), (key, value)

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        batch, length, width = x.shape
        qkv = self.qkv(x).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        return self.query_norm(query), self.key_norm(key), value

    def _merge(self, x_BHTD: Tensor) -> Tensor:
        batch, heads, length, size = x_BHTD.shape
        return self.out(x_BHTD.transpose(1, 2).reshape(batch, length, heads * size))


def rotary(positions_T: Tensor, size: int) -> Rotation:
    """Rotary position embedding (arXiv 2104.09864) of heads of this size."""
    half = size // 2
    frequencies = 100.0 ** (-torch.arange(half, device=positions_T.device) / half)
    angles = positions_T[:, None] * frequencies
    return angles.cos(), angles.sin()


def rotate(x_BHTD: Tensor, rotation: Rotation) -> Tensor:
    cos, sin = rotation
    first, second = x_BHTD.chunk(2, dim=-1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


def mlp(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
