"""Uncertainty of an imagined frame by retracing-rollout (arXiv 2411.05619).

To judge the frame that action a_t leads to: go back to the frame k steps before it, replace
a_{t-k} .. a_t by one equivalent action split into k+1 equal steps, and imagine the way again.
Where the model knows the dynamics both ways end in the same picture. The uncertainty is the
disagreement of the two ends, averaged over several k, times the entropy of the prediction.
A k whose window holds a gripper switch does not take part: there the two ways are not equivalent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from whale_ros.actions.composition import compose, holds_gripper_switch, split
from whale_ros.imagination.rollout import Rollout
from whale_ros.world_model.interface import WorldModel

K = (1, 2, 3, 4)


@dataclass
class Retracing:
    """How far to trust B rollouts of H frames; NaN where a frame could not be judged."""

    disagreement: Tensor  # (B, H), mean over the k that took part
    entropy: Tensor  # (B, H)
    took_part: Tensor  # (B, H, len(K)) bool

    @property
    def product(self) -> Tensor:
        """(B, H) the paper's uncertainty."""
        return self.disagreement * self.entropy

    def steps(self, row: int) -> list[int]:
        """The k that took part in judging one rollout."""
        return [k for k, used in zip(K, self.took_part[row].any(dim=0), strict=True) if used]

    @property
    def uncertainty(self) -> Tensor:
        """(B,) of a whole rollout: its worst judged frame; NaN if none was judged."""
        worst = self.product.nan_to_num(nan=-torch.inf).amax(dim=1)
        return torch.where(worst == -torch.inf, torch.nan, worst)


@torch.inference_mode()
def retrace(model: WorldModel, rollout: Rollout, frames: Sequence[int]) -> Retracing:
    """Judge the imagined frames with the given indices, 0 .. H-1.

    The k that would need more observed past than there is do not take part.
    """
    batch, horizon = rollout.entropy.shape
    apart = torch.full((batch, horizon, len(K)), torch.nan)
    past = rollout.actions.shape[1] - horizon
    actions = rollout.actions.numpy()
    for frame in frames:
        for column, k in enumerate(K):
            first = past + frame - k  # of the window's actions
            if first < 0:
                continue
            window = actions[:, first : past + frame + 1]
            steps = torch.from_numpy(split(compose(window), k + 1)).to(rollout.actions)
            state = model.rewind(rollout.state, horizon - frame + k)
            for step in steps.unbind(1):
                state, output = model.step(state, step)
            distance = feature_distance(output.features, rollout.features[:, frame])
            usable = ~torch.from_numpy(holds_gripper_switch(window))
            apart[:, frame, column] = torch.where(usable, distance, torch.nan)
    return Retracing(apart.nanmean(dim=2), rollout.entropy, ~apart.isnan())


def feature_distance(first: Tensor, second: Tensor) -> Tensor:
    """Root mean square difference of features (..., N, C)."""
    return (first - second).square().mean((-2, -1)).sqrt()
