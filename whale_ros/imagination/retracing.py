"""Uncertainty of an imagined frame by retracing-rollout (arXiv 2411.05619).

To judge the frame that action a_t leads to: go back to the frame k steps before it, replace
a_{t-k} .. a_t by one equivalent action split into k+1 equal steps, and imagine the way again.
Where the model knows the dynamics both ways end in the same picture. The disagreement of the two
ends is averaged over several k; one whose window holds a gripper switch does not take part, because
there the two ways are not equivalent.

The paper multiplies the disagreement by the entropy of the prediction. We add a quarter of it to
the mean entropy of the rollout: a product vanishes where the model is confidently wrong, and on
validation data this ranks errors better (`whale evaluate uncertainty` shows what was tried).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from whale_ros.actions.composition import compose, holds_gripper_switch, split
from whale_ros.imagination.rollout import Rollout
from whale_ros.world_model.interface import StepOutput, WorldModel

K = (1, 2, 3, 4)
DISAGREEMENT_WEIGHT = 0.25

# How far two imagined frames lie apart; their leading dimensions, which stay, are broadcast.
Metric = Callable[[StepOutput, StepOutput], Tensor]


@dataclass
class Retracing:
    """How far to trust B rollouts of H frames. On CPU.

    NaN where a frame was not judged; where it was, NaN means that the model is broken.
    """

    disagreements: Tensor  # (B, H, len(K)) between each frame and each of its retracings
    entropy: Tensor  # (B, H)
    took_part: Tensor  # (B, H, len(K)) bool, which k judged a frame

    @property
    def disagreement(self) -> Tensor:
        """(B, H) mean over the k that took part."""
        total = self.disagreements.where(self.took_part, 0.0).sum(dim=2)
        return total / self.took_part.sum(dim=2)

    @property
    def product(self) -> Tensor:
        """(B, H) the paper's uncertainty."""
        return self.disagreement * self.entropy

    @property
    def sum(self) -> Tensor:
        """(B, H) of disagreement and entropy: large if only one of them is."""
        return self.disagreement + self.entropy

    @property
    def uncertainty(self) -> Tensor:
        """(B,) what `combine` makes of the last judged frame.

        NaN if none was judged, or the model is broken: any entropy of the rollout is NaN. Zero
        only if nothing disagrees and nothing is in doubt, which no sound model comes to.
        """
        judged = self.took_part.any(dim=2)
        frames = torch.arange(judged.shape[1])
        last = torch.where(judged, frames, 0).amax(dim=1, keepdim=True)
        value = combine(self.disagreement, self.entropy).gather(1, last).squeeze(1)
        return value.where(~self.entropy.isnan().any(dim=1), torch.nan)


def combine(disagreement: Tensor, entropy: Tensor) -> Tensor:
    """Uncertainty (B, H) of each frame from both (B, H): weighted sum with the entropy so far."""
    frames = torch.arange(1, entropy.shape[1] + 1)
    return DISAGREEMENT_WEIGHT * disagreement + entropy.cumsum(dim=1) / frames


def feature_distance(first: Tensor, second: Tensor) -> Tensor:
    """Root mean square difference of features (..., N, C)."""
    return (first - second).square().mean((-2, -1)).sqrt()


def between_features(first: StepOutput, second: StepOutput) -> Tensor:
    """A metric: the distance of the features that the model expects."""
    return feature_distance(first.features, second.features)


def between_codes(first: StepOutput, second: StepOutput) -> Tensor:
    """A metric: the share of numbers that differ in latents (..., N, C) of whole numbers."""
    return (first.latent != second.latent).float().mean((-2, -1))


@torch.inference_mode()
def retrace(
    model: WorldModel,
    rollout: Rollout,
    frames: Sequence[int],
    metric: Metric = between_features,
) -> Retracing:
    """Judge the imagined frames with the given indices, 0 .. H-1.

    The k that would need more observed past than there is do not take part.
    """
    disagreements = torch.full((*rollout.entropy.shape, len(K)), torch.nan)
    took_part = torch.zeros_like(disagreements, dtype=torch.bool)
    actions = rollout.actions.cpu().numpy()
    past = actions.shape[1] - rollout.horizon
    for frame in frames:
        windows = {}
        for column, k in enumerate(K):
            if k > past + frame:
                continue
            window = actions[:, past + frame - k : past + frame + 1]
            equivalent = torch.from_numpy(~holds_gripper_switch(window))
            took_part[:, frame, column] = equivalent
            if equivalent.any():
                windows[k] = window
        for k, distance in _distances(model, rollout, frame, windows, metric).items():
            column = K.index(k)
            distance = distance.where(took_part[:, frame, column], torch.nan)
            disagreements[:, frame, column] = distance
    return Retracing(disagreements, rollout.entropy.cpu(), took_part)


@torch.inference_mode()
def judge(
    model: WorldModel,
    rollout: Rollout,
    every_step: bool = False,
    metric: Metric = between_features,
) -> Retracing:
    """Retrace the last frame, at which candidates that begin alike differ most.

    A rollout of which a gripper switch near the end forbids that is judged half-way.
    every_step: retrace all frames, which costs as many times as much.
    """
    if every_step:
        return retrace(model, rollout, range(rollout.horizon), metric)
    last = rollout.horizon - 1
    retracing = retrace(model, rollout, (last,), metric)
    unjudged = ~retracing.took_part[:, last].any(dim=1)
    if last and unjudged.any():  # only these: no rollout's judgement depends on the others
        half_way = retrace(model, rollout, (last // 2,), metric)
        retracing.disagreements[unjudged] = half_way.disagreements[unjudged]
        retracing.took_part[unjudged] = half_way.took_part[unjudged]
    return retracing


def _distances(
    model: WorldModel,
    rollout: Rollout,
    frame: int,
    windows: dict[int, np.ndarray],
    metric: Metric,
) -> dict[int, Tensor]:
    """(B,) between a frame and its retracing for each k, given the actions (B, k+1, 7) retraced.

    The way that begins earliest goes first, the others join when it comes to where they begin.
    So all are imagined in max(k) + 1 steps of growing batches, not one after another.
    """
    type = model.action_space.type
    steps = {
        k: torch.from_numpy(split(compose(window, type), k + 1, type)[:, 0]).to(rollout.actions)
        for k, window in windows.items()
    }
    present = model.rewind(rollout.state, rollout.horizon - frame)
    states: dict[int, Any] = {}
    ends: dict[int, StepOutput] = {}
    for back in range(max(windows, default=-1), -1, -1):  # frames from there to the present
        if back in windows:
            states[back] = model.rewind(present, back, hold_behavior=True)
        results = model.step_together(list(states.values()), [steps[k] for k in states])
        for k, result in zip(states, results, strict=True):
            states[k], ends[k] = result
    before = rollout.frame(frame)
    return {k: metric(end, before).cpu() for k, end in ends.items()}


def bits(took_part: np.ndarray) -> int:
    """(len(K),) bool as a number: bit k-1 is set if that k took part."""
    return sum(1 << (k - 1) for k, used in zip(K, took_part, strict=True) if used)
