"""The dynamics: tokens of the past and actions to the tokens of the next frame.

Slot t holds the tokens of frame t and action t, and predicts the tokens of frame t+1. Some of
those may already be known: they are given to the slot and the rest is predicted, which is how
masked parallel decoding (MaskGIT, arXiv 2202.04200) refines a frame in several passes. Because
a slot starts from the tokens of its own frame, the network has to learn the change only, and its
keys and values can be cached as they are.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from whale_ros.actions.space import DIM
from whale_ros.world_model.blocks import KeyValues, SpatioTemporalBlock, mlp, rotary
from whale_ros.world_model.config import DynamicsConfig, TokenizerConfig


class Dynamics(nn.Module):
    def __init__(self, config: DynamicsConfig, tokenizer: TokenizerConfig) -> None:
        super().__init__()
        self.config = config
        self.levels = tokenizer.code_levels
        self.code_dim = tokenizer.code_dim
        width = config.width
        self.embed = nn.Linear(self.code_dim * (self.levels + 1), width)
        self.embed_known = nn.Linear(self.code_dim * (self.levels + 1), width, bias=False)
        self.unknown = nn.Parameter(0.02 * torch.randn(width))
        self.position = nn.Parameter(0.02 * torch.randn(tokenizer.tokens, width))
        # Behaviour-conditioning will add its z to this embedding.
        self.embed_action = nn.Sequential(nn.Linear(DIM, width), mlp(width), nn.SiLU())
        self.blocks = nn.ModuleList(
            SpatioTemporalBlock(width, config.heads) for _ in range(config.layers)
        )
        self.head = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, self.code_dim * self.levels)
        )

    def forward(
        self,
        codes: Tensor,
        actions: Tensor,
        known: Tensor | None = None,
        is_known: Tensor | None = None,
        past: list[KeyValues] | None = None,
        position: int | None = None,
    ) -> tuple[Tensor, list[KeyValues]]:
        """Logits of the next frames' codes.

        codes: (B, T, N, C) long, tokens of T successive frames.
        actions: (B, T, 7) float, normalised; action t begins at frame t.
        known, is_known: (B, T, N, C) long and (B, T, N) bool, tokens of frames t+1 known so far.
        past: keys and values of earlier slots, one entry a layer.
        position: how many slots came before these; by default as many as `past` holds.
        Returns logits (B, T, N, C, levels), and keys and values with these slots appended.
        """
        x = self._embedded(codes, self.embed) + self.position
        if known is None or is_known is None:
            x = x + self.unknown
        else:
            told = self._embedded(known, self.embed_known)
            x = x + torch.where(is_known.unsqueeze(-1), told, self.unknown)
        condition = self.embed_action(actions)
        if position is None:
            position = past[0][0].shape[2] if past else 0
        positions = torch.arange(position, position + codes.shape[1], device=codes.device)
        rotation = rotary(positions, self.config.width // self.config.heads)
        key_values = []
        for layer, block in enumerate(self.blocks):
            x, present = block(x, condition, rotation, None if past is None else past[layer])
            key_values.append(present)
        logits = self.head(x).unflatten(-1, (self.code_dim, self.levels))
        return logits, key_values

    def loss(
        self, codes: Tensor, actions: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy on the tokens that are not given, for sequences of T frames.

        codes: (B, T, N, C) long; actions: (B, T-1, 7) float, normalised. Half of the sequences
        are predicted from nothing, the others with up to half of each frame known. A part of
        the context is corrupted, because at run time it is imagined.
        """
        context, target = codes[:, :-1], codes[:, 1:]
        context = corrupt(context, self.levels, generator)
        batch, time, tokens, _ = target.shape
        share = 0.5 * torch.rand(batch, time, 1, generator=generator)
        share = share * (torch.rand(batch, 1, 1, generator=generator) < 0.5)
        is_known = torch.rand(batch, time, tokens, generator=generator) < share
        is_known = is_known.to(codes.device)
        logits, _ = self.forward(context, actions, target, is_known)
        error = F.cross_entropy(logits.flatten(0, -2), target.flatten(), reduction="none")
        error = error.view(target.shape).mean(-1)
        loss = error[~is_known].mean()
        with torch.no_grad():
            changed = (target != codes[:, :-1]).any(-1) & ~is_known
            right = (logits.argmax(-1) == target).float().mean(-1)
            metrics = {"accuracy_changed": right[changed].mean()}
        return loss, metrics

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


def corrupt(codes: Tensor, levels: int, generator: torch.Generator) -> Tensor:
    """Move some codes (B, ...) by a level and replace a few; at rates drawn per sequence."""
    shape = codes.shape
    rate = torch.rand(shape[0], *[1] * (len(shape) - 1), generator=generator)
    dice = torch.rand(shape, generator=generator)
    moved = codes.cpu() + torch.randint(0, 2, shape, generator=generator) * 2 - 1
    random = torch.randint(0, levels, shape, generator=generator)
    result = torch.where(dice < 0.15 * rate, moved.clamp(0, levels - 1), codes.cpu())
    return torch.where(dice > 1 - 0.03 * rate, random, result).to(codes.device)
