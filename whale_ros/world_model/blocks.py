"""The spatio-temporal transformer that dynamics and behaviour model are built from.

Shapes: B batch, T time, N tokens of a frame, D width, H heads.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from whale_ros.world_model.cache import Cache, KeyValue

Rotation = tuple[Tensor, Tensor]  # cosines and signed sines, (T, D/H) each


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
        self, x_BTND: Tensor, condition_BTD: Tensor, pasts: Sequence[Cache] = ()
    ) -> tuple[Tensor, list[Cache]]:
        """Without `pasts` the slots see one another only, and nothing is kept.

        With them, the first sequences follow those of the first cache, and so on. All have come
        to the same position. Caches that hold the new slots too are returned.
        """
        time = x_BTND.shape[1]
        if time > 1:
            pasts = [past.apart() for past in pasts]
        presents = [past.extended(time) for past in pasts]
        end = presents[0].position if presents else time
        positions = torch.arange(end - time, end, device=x_BTND.device)
        rotation = rotary(positions, self.head_size)
        seen = min(end, self.window - 1 + time)
        mask = None if time == 1 else band(time, seen, self.window, x_BTND.device)
        for layer, block in enumerate(self.blocks):
            x_BTND = block(x_BTND, condition_BTD, rotation, mask, presents, layer, seen)
        return x_BTND, presents

    def empty_cache(self, batch: int) -> Cache:
        return Cache(2 * self.window, batch)


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
        caches: Sequence[Cache],
        layer: int,
        seen: int,
    ) -> Tensor:
        """Puts its keys and values into the caches, if there are any, and sees the last `seen`."""
        batch, time, tokens, width = x_BTND.shape
        parts = self.modulation(condition_BTD).unsqueeze(2).chunk(9, dim=-1)

        x = torch.addcmul(parts[1], self.norm(x_BTND), 1 + parts[0])
        x = self.spatial.full(x.reshape(batch * time, tokens, width))
        x = x.reshape(batch, time, tokens, width)
        x_BTND = torch.addcmul(x_BTND, 1 + parts[2], x)

        x = torch.addcmul(parts[4], self.norm(x_BTND), 1 + parts[3])
        x = x.transpose(1, 2).reshape(batch * tokens, time, width)
        x = self.temporal.causal(x, rotation, mask, caches, layer, seen)
        x = x.reshape(batch, tokens, time, width).transpose(1, 2)
        x_BTND = torch.addcmul(x_BTND, 1 + parts[5], x)

        x = torch.addcmul(parts[7], self.norm(x_BTND), 1 + parts[6])
        return torch.addcmul(x_BTND, 1 + parts[8], self.mlp(x))


class Attention(nn.Module):
    """Multi-head attention with normalised queries and keys."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width)
        self.query_norm = nn.RMSNorm(width // heads)
        self.key_norm = nn.RMSNorm(width // heads)
        start_small(self.out.weight)

    def full(self, x_BND: Tensor) -> Tensor:
        """Every token sees every token."""
        query, key, value = self._project(x_BND)
        return self._merge(F.scaled_dot_product_attention(query, key, value))

    def causal(
        self,
        x_BTD: Tensor,
        rotation: Rotation,
        mask: Tensor | None,
        caches: Sequence[Cache],
        layer: int,
        seen: int,
    ) -> Tensor:
        """Each time sees itself and what came before, with rotary positions.

        Only differences of positions matter, so the keys of a window that slides stay valid.
        """
        query, key, value = self._project(x_BTD, rotation)
        if not caches:
            return self._merge(F.scaled_dot_product_attention(query, key, value, attn_mask=mask))
        tokens = len(x_BTD) // sum(cache.batch for cache in caches)
        rows = [tokens * cache.batch for cache in caches]
        attended = [
            attend_to_cache(own_query, own_key, own_value, mask, cache, layer, seen)
            for own_query, own_key, own_value, cache in zip(
                query.split(rows), key.split(rows), value.split(rows), caches, strict=True
            )
        ]
        return self._merge(torch.cat(attended) if len(attended) > 1 else attended[0])

    def _project(
        self, x: Tensor, rotation: Rotation | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Normalised queries and keys, rotated if asked, and values; (B, H, T, D/H) each.

        Queries and keys together: small models spend their time on the number of operations.
        """
        batch, length, width = x.shape
        qkv = self.qkv(x).view(batch, length, 3, self.heads, width // self.heads)
        both = F.rms_norm(qkv[:, :, :2], (width // self.heads,))
        both = both * torch.stack([self.query_norm.weight, self.key_norm.weight]).unsqueeze(1)
        if rotation is not None:
            both = rotate(both, rotation)
        query, key = both.permute(2, 0, 3, 1, 4)
        return query, key, qkv[:, :, 2].transpose(1, 2)

    def _merge(self, x_BHTD: Tensor) -> Tensor:
        batch, heads, length, size = x_BHTD.shape
        return self.out(x_BHTD.transpose(1, 2).reshape(batch, length, heads * size))


def attend_to_cache(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    cache: Cache,
    layer: int,
    seen: int,
) -> Tensor:
    """Attention of (B*N, H, T, D/H) to the last `seen` slots of a cache, where they are put."""
    key, value = cache.put(layer, key, value, seen)
    if before := cache.put_before(layer, seen):
        return attend_to_shared(query, [*before, (key, value)])
    key, value = key.permute(1, 2, 0, 3), value.permute(1, 2, 0, 3)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=mask)


def attend_to_shared(query: Tensor, pasts: list[KeyValue]) -> Tensor:
    """Attention of one query each to slots that sequences share, and to their own.

    query: (R, H, 1, D/H), R = B*N. Keys and values: (slots, r, H, D/H) of each past, where row i
    continues row i % r. Where many continue one, it is read once for all of them, not copied and
    read once for each. Slots come first in the scores, because a softmax over the last and short
    dimension takes several times as long on a CPU.
    """
    query = query.squeeze(2) * query.shape[-1] ** -0.5
    scores = [_scores(query, key) for key, _ in pasts]
    weights = torch.cat(scores).softmax(0).split([len(score) for score in scores])
    parts = [_weighted(weight, value) for weight, (_, value) in zip(weights, pasts, strict=True)]
    return sum(parts[1:], start=parts[0]).unsqueeze(2)


def _scores(query: Tensor, key: Tensor) -> Tensor:
    """(slots, R, H) of queries (R, H, D/H) with keys (slots, r, H, D/H)."""
    if query.shape[0] == key.shape[1]:
        return (query * key).sum(-1)
    together = query.unflatten(0, (-1, key.shape[1])).permute(1, 2, 0, 3)
    score = together @ key.permute(1, 2, 3, 0)  # (r, H, R/r, slots)
    return score.permute(3, 2, 0, 1).flatten(1, 2)


def _weighted(weight: Tensor, value: Tensor) -> Tensor:
    """(R, H, D/H) sum of values (slots, r, H, D/H) by weights (slots, R, H)."""
    if weight.shape[1] == value.shape[1]:
        return (weight.unsqueeze(-1) * value).sum(0)
    together = weight.unflatten(1, (-1, value.shape[1])).permute(2, 3, 1, 0)
    together = together.contiguous()  # else bmm takes the batch one by one
    part = together @ value.permute(1, 2, 0, 3)  # (r, H, R/r, D/H)
    return part.permute(2, 0, 1, 3).flatten(0, 1)


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
    sines = angles.sin()
    return angles.cos().repeat(1, 2), torch.cat([-sines, sines], dim=-1)


def rotate(x: Tensor, rotation: Rotation) -> Tensor:
    """x: (B, T, 2, H, D/H)"""
    cos, sin = (part[:, None, None] for part in rotation)
    first, second = x.chunk(2, dim=-1)
    return torch.addcmul(x * cos, torch.cat([second, first], dim=-1), sin)


def mlp(width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))


def learned_vectors(*shape: int) -> nn.Parameter:
    vectors = nn.Parameter(torch.empty(shape))
    start_small(vectors)
    return vectors


def start_small(weights: Tensor) -> None:
    """Random numbers to begin with; on the meta device, which has shapes only, none are needed.

    There they would load torch's compiler first, which takes seconds.
    """
    if not weights.is_meta:
        nn.init.normal_(weights, std=0.02)
