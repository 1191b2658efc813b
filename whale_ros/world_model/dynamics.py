"""The dynamics: tokens of the past and actions to the tokens of the next frame.

Slot t holds the tokens of frame t and action t, and predicts the tokens of frame t+1. Some of
those may already be known: they are given to the slot and the rest is predicted, which is how
masked parallel decoding (MaskGIT, arXiv 2202.04200) refines a frame in several passes. Because
a slot starts from the tokens of its own frame, the network has to learn the change only, and its
keys and values can be cached as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from whale_ros.actions.space import DIM
from whale_ros.world_model.blocks import SpatioTemporalTransformer, learned_vectors, mlp
from whale_ros.world_model.cache import Cache
from whale_ros.world_model.config import BehaviorConfig, DynamicsConfig, TokenizerConfig

NO_BEHAVIOR_SHARE = 0.2  # of the training sequences, so that the network can do without z
HELD_BEHAVIOR_SHARE = 0.5  # of the others: z stays as it was at some frame, as in retracing


class Dynamics(nn.Module):
    def __init__(
        self, config: DynamicsConfig, tokenizer: TokenizerConfig, behavior: BehaviorConfig
    ) -> None:
        super().__init__()
        self.config = config
        self.levels = tokenizer.code_levels
        self.code_dim = tokenizer.code_dim
        width = config.width
        self.embed = nn.Linear(self.code_dim * (self.levels + 1), width)
        self.embed_known = nn.Linear(self.code_dim * (self.levels + 1), width, bias=False)
        self.unknown = learned_vectors(width)
        self.position = learned_vectors(tokenizer.tokens, width)
        self.embed_action = nn.Sequential(nn.Linear(DIM, width), mlp(width), nn.SiLU())
        self.embed_behavior = nn.Linear(behavior.z_dim, width)
        self.no_behavior = nn.Parameter(torch.zeros(behavior.z_dim))  # in place of a z
        self.trunk = SpatioTemporalTransformer(width, config.layers, config.heads, config.window)
        self.head = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, self.code_dim * self.levels)
        )

    def forward(
        self,
        codes: Tensor,
        actions: Tensor,
        z: Tensor,
        known: Tensor | None = None,
        is_known: Tensor | None = None,
        pasts: Sequence[Cache] = (),
    ) -> tuple[Tensor, list[Cache]]:
        """Logits of the next frames' codes.

        codes: (B, T, N, C) long, tokens of T successive frames.
        actions: (B, T, 7) float, normalised; action t begins at frame t.
        z: (B, T, Z) float, the behaviour as it seems at each frame.
        known, is_known: (B, T, N, C) long and (B, T, N) bool, tokens of frames t+1 known so far.
        pasts: earlier slots of the first sequences, of those after them, and so on.
        Returns logits (B, T, N, C, levels), and the caches with these slots appended.
        """
        x = self._embedded(codes, self.embed) + self.position
        if known is None or is_known is None:
            x = x + self.unknown
        else:
            told = self._embedded(known, self.embed_known)
            x = x + torch.where(is_known.unsqueeze(-1), told, self.unknown)
        condition = self.embed_action(actions) + self.embed_behavior(z)
        x, presents = self.trunk(x, condition, pasts)
        return self.head(x).unflatten(-1, (self.code_dim, self.levels)), presents

    def decode(
        self, codes: Tensor, actions: Tensor, z: Tensor, pasts: Sequence[Cache]
    ) -> tuple[Tensor, list[Cache]]:
        """Logits (B, N, C, levels) of the next frame, greedily in `passes` passes.

        codes (B, 1, N, C), actions (B, 1, 7), z (B, 1, Z): the newest slot. Each pass is told the
        tokens that the ones before were surest of, more of them each time by MaskGIT's cosine
        schedule; a token's logits are those of the pass in which it was decided.
        """
        logits, presents = self.forward(codes, actions, z, pasts=pasts)
        tokens = codes.shape[2]
        is_known = torch.zeros(codes.shape[:3], dtype=torch.bool, device=codes.device)
        for done in range(1, self.config.passes):
            count = tokens - int(tokens * math.cos(math.pi / 2 * done / self.config.passes))
            sure = logits.log_softmax(-1).amax(-1).mean(-1).masked_fill(is_known, torch.inf)
            is_known = is_known.scatter(2, sure.topk(count).indices, True)
            refined, _ = self.forward(codes, actions, z, logits.argmax(-1), is_known, pasts)
            logits = torch.where(is_known[..., None, None], logits, refined)
        return logits[:, 0], presents

    def loss(
        self, codes: Tensor, actions: Tensor, z: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy on the tokens that are not given, for sequences of T frames.

        codes: (B, T, N, C) long; actions: (B, T-1, 7) float, normalised; z: (B, T, Z) float, of
        the behaviour model. Half of the sequences are predicted from nothing, the others with up
        to half of each frame known. A part of the context is corrupted, because at run time it
        is imagined.
        """
        context, target = codes[:, :-1], codes[:, 1:]
        z = self._varied(z[:, :-1], generator)
        context = corrupt(context, self.levels, generator)
        batch, time, tokens, _ = target.shape
        share = 0.5 * torch.rand(batch, time, 1, generator=generator)
        share = share * (torch.rand(batch, 1, 1, generator=generator) < 0.5)
        is_known = torch.rand(batch, time, tokens, generator=generator) < share
        is_known = is_known.to(codes.device)
        logits, _ = self.forward(context, actions, z, target, is_known)
        error = F.cross_entropy(logits.flatten(0, -2), target.flatten(), reduction="none")
        error = error.view(target.shape).mean(-1)
        loss = _mean_where(~is_known, error)
        with torch.no_grad():
            changed = (target != codes[:, :-1]).any(-1) & ~is_known
            right = (logits.argmax(-1) == target).float().mean(-1)
            metrics = {"accuracy_changed": _mean_where(changed, right)}
        return loss, metrics

    def _varied(self, z: Tensor, generator: torch.Generator) -> Tensor:
        """Withhold z (B, T, Z) from some sequences, and hold it still in others."""
        batch, time, _ = z.shape
        dice = torch.rand(batch, 2, generator=generator)
        since = torch.randint(time, (batch, 1), generator=generator)
        since = torch.where(dice[:, :1] < HELD_BEHAVIOR_SHARE, since, time)
        frame = torch.arange(time).expand(batch, time).minimum(since).to(z.device)
        z = z.gather(1, frame.unsqueeze(-1).expand_as(z))
        without = (dice[:, 1] < NO_BEHAVIOR_SHARE).to(z.device)
        return torch.where(without[:, None, None], self.no_behavior, z)

    def _embedded(self, codes: Tensor, layer: nn.Linear) -> Tensor:
        """A linear layer of codes both as numbers, which are ordered, and one-hot.

        As a table, because most of such a layer's inputs are zeros.
        """
        width = layer.weight.shape[0]
        weight = layer.weight.T.view(self.code_dim, 1 + self.levels, width)
        values = torch.linspace(-1, 1, self.levels, device=codes.device)
        table = weight[:, :1] * values[:, None] + weight[:, 1:]  # (C, levels, width)
        first = self.levels * torch.arange(self.code_dim, device=codes.device)
        rows = (codes + first).flatten(0, -2)
        x = F.embedding_bag(rows, table.flatten(0, 1), mode="sum").view(*codes.shape[:-1], width)
        return x if layer.bias is None else x + layer.bias


def _mean_where(mask: Tensor, values: Tensor) -> Tensor:
    """As `values[mask].mean()`, without waiting for the GPU to count; NaN of none."""
    return (values * mask).sum() / mask.sum()


def corrupt(codes: Tensor, levels: int, generator: torch.Generator) -> Tensor:
    """Move some codes (B, ...) by a level and replace a few; at rates drawn per sequence."""
    shape, device = codes.shape, codes.device
    rate = torch.rand(shape[0], *[1] * (len(shape) - 1), generator=generator)
    dice = torch.rand(shape, generator=generator)
    by = torch.randint(0, 2, shape, generator=generator) * 2 - 1
    random = torch.randint(0, levels, shape, generator=generator)
    moved = (codes + by.to(device)).clamp(0, levels - 1)
    result = torch.where((dice < 0.15 * rate).to(device), moved, codes)
    return torch.where((dice > 1 - 0.03 * rate).to(device), random.to(device), result)
