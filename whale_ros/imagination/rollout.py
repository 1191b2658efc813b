"""Roll a world model forward under given actions, all candidates at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from whale_ros.world_model.interface import StepOutput, WorldModel


@dataclass
class Rollout:
    """H imagined frames of B candidates, after T observed ones."""

    actions: Tensor  # (B, T-1+H, 7), the observed ones first, physical units
    latents: Tensor  # (B, H, ...)
    features: Tensor  # (B, H, N, C)
    entropy: Tensor  # (B, H)
    state: Any  # after the last frame

    @property
    def horizon(self) -> int:
        return self.entropy.shape[1]

    def frame(self, index: int) -> StepOutput:
        """What was imagined of one frame, 0 .. H-1."""
        return StepOutput(self.latents[:, index], self.features[:, index], self.entropy[:, index])


@torch.inference_mode()
def imagine(
    model: WorldModel,
    state: Any,
    actions: Tensor,
    past_actions: Tensor,
    index: Tensor | None = None,
) -> Rollout:
    """Imagine the frames that follow `state` under actions (B, H, 7).

    past_actions: (B, T-1, 7), those that led to `state`.
    index: (B,) ascending, which sequence of `state` and `past_actions` each row continues, each at
    least once. What the rows of all of them have in common at first is imagined once for each.
    """
    outputs, alike = [], 0
    if index is not None:
        first = torch.searchsorted(index, torch.arange(len(past_actions), device=index.device))
        same = (actions == actions[first][index]).all(2).all(0)
        alike = int(same.cummin(0).values.sum())
        for action in actions[first, :alike].unbind(1):
            state, output = model.step(state, action)
            outputs.append(
                StepOutput(output.latent[index], output.features[index], output.entropy[index])
            )
        state, past_actions = model.fork(state, index), past_actions[index]
    for action in actions[:, alike:].unbind(1):
        state, output = model.step(state, action)
        outputs.append(output)
    return Rollout(
        actions=torch.cat([past_actions, actions], dim=1),
        latents=torch.stack([o.latent for o in outputs], dim=1),
        features=torch.stack([o.features for o in outputs], dim=1),
        entropy=torch.stack([o.entropy for o in outputs], dim=1),
        state=state,
    )
