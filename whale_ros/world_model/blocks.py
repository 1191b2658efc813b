"""The spatio-temporal transformer that dynamics and behaviour model are built from.

Shapes: B batch, T time, N tokens of a frame, D width, H heads.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from whale_ros.world_model.cache import Cache

Rotation = tuple[Tensor, Tensor]  # cosines and sines, (T, D/H/2) each


class SpatioTemporalTransformer(nn.Module):
    """Blocks of spatial and of causal temporal attention.

    A slot sees the last `window` slots, its own included.
    """

    def __init__(self, width: int, layers: int, heads: int, window: int) -> None:
        super().__init__()
        self.window = window
        self.head_size = width // heads
        self.blocks = nn.ModuleList(SpatioTemporalBlock(width, heads) for _ in range(layers))

    def forward(
        self, x_BTND: Tensor, condition_BTD: Tensor, past: Cache | None = None
    ) -> tuple[Tensor, Cache | None]:
        """Without `past` the slots see one another only, and nothing is kept.

        With it, they follow the slots that it holds, and a cache that holds them too is returned.
        """
        time = x_BTND.shape[1]
        if past and time > 1:
            past = past.apart()
        first = past.position if past else 0
        present = past.extended(time) if past else None
        positions = torch.arange(first, first + time, device=x_BTND.device)
        rotation = rotary(positions, self.head_size)
        seen = min(present.held if present else time, self.window - 1 + time)
        mask = None if time == 1 else band(time, seen, self.window, x_BTND.device)
        for layer, block in enumerate(self.blocks):
            x_BTND = block(x_BTND, condition_BTD, rotation, mask, present, layer, seen)
        return x_BTND, present

    def empty_cache(self) -> Cache:
        return Cache(keep=2 * self.window)


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
        mask: Tensor | None,
        cache: Cache | None,
        layer: int,
        seen: int,
    ) -> Tensor:
        """Puts its keys and values into the cache, if there is one, and sees the last `seen`."""
        batch, time, tokens, width = x_BTND.shape
        parts = self.modulation(condition_BTD).unsqueeze(2).chunk(9, dim=-1)

        x = self.norm(x_BTND) * (1 + parts[0]) + parts[1]
        x = self.spatial.full(x.reshape(batch * time, tokens, width))
        x_BTND = x_BTND + (1 + parts[2]) * x.reshape(batch, time, tokens, width)

        x = self.norm(x_BTND) * (1 + parts[3]) + parts[4]
        x = x.transpose(1, 2).reshape(batch * tokens, time, width)
        x = self.temporal.causal(x, rotation, mask, cache, layer, seen)
        x = x.reshape(batch, tokens, time, width).transpose(1, 2)
        x_BTND = x_BTND + (1 + parts[5]) * x

        x = self.norm(x_BTND) * (1 + parts[6]) + parts[7]
        return x_BTND + (1 + parts[8]) * self.mlp(x)


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
        self,
        x_BTD: Tensor,
        rotation: Rotation,
        mask: Tensor | None,
        cache: Cache | None,
        layer: int,
        seen: int,
    ) -> Tensor:
        """Each time sees itself and what came before, with rotary positions.

        Only differences of positions matter, so the keys of a window that slides stay valid.
        """
        query, key, value = self._project(x_BTD)
        query, key = rotate(query, rotation), rotate(key, rotation)
        if cache is not None:
            key, value = cache.put(layer, key, value, seen)
            if shared := cache.put_before(layer, seen):
                return self._merge(attend_to_shared(query, shared, key, value))
            key, value = key.permute(1, 2, 0, 3), value.permute(1, 2, 0, 3)
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self._merge(attended)

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        batch, length, width = x.shape
        qkv = self.qkv(x).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        return self.query_norm(query), self.key_norm(key), value

    def _merge(self, x_BHTD: Tensor) -> Tensor:
        batch, heads, length, size = x_BHTD.shape
        return self.out(x_BHTD.transpose(1, 2).reshape(batch, length, heads * size))


def attend_to_shared(
    query: Tensor, shared: list[tuple[Tensor, Tensor]], key: Tensor, value: Tensor
) -> Tensor:
    """Attention of one query each to slots that sequences share, and then to their own.

    query: (R, H, 1, D/H), R = B*N; own: (slots, R, H, D/H) each. Shared keys and values:
    (slots, r, H, D/H), where row i continues the shared row i % r. They are read once for all that
    continue them, not copied and read once for each. Slots come first in the scores, because
    a softmax over the last and short dimension takes several times as long on a CPU.
    """
    rows, heads, _, size = query.shape
    query = query.squeeze(2) * size**-0.5
    scores = []
    for shared_key, _ in shared:
        together = query.view(-1, shared_key.shape[1], heads, size).permute(1, 2, 0, 3)
        score = together @ shared_key.permute(1, 2, 3, 0)  # (r, H, R/r, slots)
        scores.append(score.permute(3, 2, 0, 1).reshape(-1, rows, heads))
    scores.append((query * key).sum(-1))
    weights = list(torch.cat(scores).softmax(0).split([len(score) for score in scores]))
    attended = (weights.pop().unsqueeze(-1) * value).sum(0)
    for weight, (_, shared_value) in zip(weights, shared, strict=True):
        together = weight.view(len(weight), -1, shared_value.shape[1], heads).permute(2, 3, 1, 0)
        together = together.contiguous()  # else bmm takes the batch one by one
        part = together @ shared_value.permute(1, 2, 0, 3)  # (r, H, R/r, D/H)
        attended = attended + part.permute(2, 0, 1, 3).reshape(rows, heads, size)
    return attended.unsqueeze(2)


def band(time: int, seen: int, window: int, device: torch.device) -> Tensor:
    """Mask (time, seen): which of the last `seen` slots each of the last `time` slots sees."""
    slots = torch.arange(seen, device=device)
    own = slots[seen - time :, None]
    return (slots <= own) & (slots > own - window)


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
