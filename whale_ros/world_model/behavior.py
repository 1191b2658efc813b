"""The behaviour model: how is the data being generated? (WHALE, arXiv 2411.05619)

An embedding z of the policy at work: the posterior q(z | trajectory) reads all of it, the prior
p(z | history) what was seen so far, and the decoder pi(a | o, z) has to tell the actions from z.
One causal transformer serves both: at its last slot it has seen the whole trajectory. A history
holds observations up to now and the actions before; were the present action among them, z would
merely repeat it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from whale_ros.actions.space import DIM, GRIPPER
from whale_ros.world_model.blocks import SpatialBlock, SpatioTemporalTransformer, learned_vectors
from whale_ros.world_model.cache import Cache
from whale_ros.world_model.config import BehaviorConfig, TokenizerConfig

KL_WEIGHT = 0.1  # beta of the beta-VAE
FREE_NATS = 0.5  # of KL that cost nothing, against a collapse of z
LEAST_LOG_STD = -3.0  # of a decoded action: noise that is smaller need not be explained


class BehaviorModel(nn.Module):
    def __init__(self, config: BehaviorConfig, tokenizer: TokenizerConfig) -> None:
        super().__init__()
        self.config = config
        self.levels = tokenizer.code_levels
        width = config.width
        self.embed = nn.Linear(tokenizer.code_dim, width)
        self.position = learned_vectors(tokenizer.tokens, width)
        self.summary = learned_vectors(width)  # a token more in every frame
        self.embed_action = nn.Sequential(nn.Linear(DIM, width), nn.SiLU())
        self.no_action = learned_vectors(width)  # before the first frame
        self.trunk = SpatioTemporalTransformer(width, config.layers, config.heads, config.window)
        self.prior = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * config.z_dim))
        self.posterior_head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * config.z_dim))
        self.decoder = ActionDecoder(config, tokenizer)

    def infer(self, codes: Tensor, actions: Tensor) -> Tensor:
        """Mean of the prior after every history: z (B, T, Z).

        codes: (B, T, N, C) long; actions: (B, T-1, 7) float, normalised.
        """
        return self.follow(codes, actions, None)[0]

    def follow(
        self, codes: Tensor, actions: Tensor, past: Cache | None
    ) -> tuple[Tensor, Cache | None]:
        """As `infer`; `past` goes on in the cache that is returned.

        If `past` holds frames, there is an action (B, T, 7) before every new one.
        """
        summary, cache = self._summaries(codes, actions, past)
        return _gaussian(self.prior(summary))[0], cache

    def posterior(self, codes: Tensor, actions: Tensor) -> Tensor:
        """Mean of the posterior given the whole trajectory, as `infer`'s arguments: z (B, Z)."""
        return _gaussian(self.posterior_head(self._summaries(codes, actions)[0][:, -1]))[0]

    def loss(
        self, codes: Tensor, actions: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Negative evidence lower bound per step, on trajectories as `infer`'s arguments."""
        summary, _ = self._summaries(codes, actions)
        prior_mean, prior_log_std = _gaussian(self.prior(summary[:, :-1]))
        mean, log_std = _gaussian(self.posterior_head(summary[:, -1:]))
        noise = torch.randn(mean.shape, generator=generator).to(mean.device)
        z = (mean + log_std.exp() * noise).expand(-1, actions.shape[1], -1)
        unexplained = self.decoder(self._values(codes[:, :-1]), z, actions)
        kl = _kl(mean, log_std, prior_mean, prior_log_std).sum(-1).mean()
        loss = unexplained.mean() + KL_WEIGHT * kl.clamp(min=FREE_NATS)
        return loss, {"action_nll": unexplained.mean().detach(), "kl_nats": kl.detach()}

    def _summaries(
        self, codes: Tensor, actions: Tensor, past: Cache | None = None
    ) -> tuple[Tensor, Cache | None]:
        """Of the histories up to each frame (B, T, D)."""
        conditions = self.embed_action(actions)
        if past is None or past.position == 0:
            first = self.no_action.expand(len(codes), 1, -1)
            conditions = torch.cat([first, conditions], dim=1)
        x = self.embed(self._values(codes)) + self.position
        summary = self.summary.expand(*x.shape[:2], 1, -1)
        x, presents = self.trunk(torch.cat([summary, x], dim=2), conditions, [past] if past else [])
        return x[:, :, 0], presents[0] if past else None

    def _values(self, codes: Tensor) -> Tensor:
        return 2 * codes.to(self.embed.weight.dtype) / (self.levels - 1) - 1


class ActionDecoder(nn.Module):
    """pi(a | o, z): a Gaussian over the pose part, a Bernoulli over the gripper."""

    def __init__(self, config: BehaviorConfig, tokenizer: TokenizerConfig) -> None:
        super().__init__()
        width = config.width
        self.embed = nn.Linear(tokenizer.code_dim, width)
        self.embed_z = nn.Linear(config.z_dim, width)
        self.position = learned_vectors(1 + tokenizer.tokens, width)
        self.block = SpatialBlock(width, config.heads)
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * (DIM - 1) + 1))

    def forward(self, values: Tensor, z: Tensor, actions: Tensor) -> Tensor:
        """Negative log likelihood (B, T) of actions (B, T, 7), normalised.

        values: (B, T, N, C) float, codes as numbers; z: (B, T, Z).
        """
        x = torch.cat([self.embed_z(z).unsqueeze(2), self.embed(values)], dim=2) + self.position
        x = self.block(x.flatten(0, 1))[:, 0].unflatten(0, z.shape[:2])
        mean, log_std, closing = self.head(x).split([DIM - 1, DIM - 1, 1], dim=-1)
        log_std = log_std.clamp(LEAST_LOG_STD, 1.0)
        pose = actions[..., :GRIPPER]
        unlikely = (0.5 * ((pose - mean) / log_std.exp()).square() + log_std).sum(-1)
        closed = (actions[..., GRIPPER] + 1) / 2
        return unlikely + F.binary_cross_entropy_with_logits(
            closing.squeeze(-1), closed, reduction="none"
        )


def _gaussian(parameters: Tensor) -> tuple[Tensor, Tensor]:
    mean, log_std = parameters.chunk(2, dim=-1)
    return mean, log_std.clamp(-5, 2)


def _kl(mean: Tensor, log_std: Tensor, other_mean: Tensor, other_log_std: Tensor) -> Tensor:
    """KL divergence of one Gaussian from another, elementwise."""
    ratio = (2 * (log_std - other_log_std)).exp()
    distance = ((mean - other_mean) / other_log_std.exp()).square()
    return 0.5 * (ratio + distance - 1) - (log_std - other_log_std)
