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

import numpy as np
import torch
from torch import Tensor

from whale_ros.actions.composition import compose, holds_gripper_switch, split
from whale_ros.imagination.rollout import Rollout
from whale_ros.world_model.interface import WorldModel

K = (1, 2, 3, 4)
LEAST = 1e-6


@dataclass
class Retracing:
    """How far to trust B rollouts of H frames; NaN where a frame could not be judged. On CPU."""

    disagreement: Tensor  # (B, H), mean over the k that took part
    entropy: Tensor  # (B, H)
    took_part: Tensor  # (B, H, len(K)) bool

    @property
    def product(self) -> Tensor:
        """(B, H) the paper's uncertainty; never quite zero, so that zero can mean a fault."""
        return self.disagreement * self.entropy + LEAST

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
    apart = torch.full((*rollout.entropy.shape, len(K)), torch.nan)
    past = rollout.actions.shape[1] - rollout.horizon
    for frame in frames:
        usable = [k for k in K if k <= past + frame]
        if usable:
            columns = [K.index(k) for k in usable]
            apart[:, frame, columns] = _disagreements(model, rollout, frame, usable)
    return Retracing(apart.nanmean(dim=2), rollout.entropy.cpu(), ~apart.isnan())


@torch.inference_mode()
def judge(model: WorldModel, rollout: Rollout) -> Retracing:
    """Retrace the last frame, at which candidates that begin alike differ most.

    A rollout of which a gripper switch near the end forbids that is judged half-way.
    """
    last = rollout.horizon - 1
    retracing = retrace(model, rollout, (last,))
    unjudged = retracing.uncertainty.isnan()
    if last and unjudged.any():  # only these: no rollout's judgement depends on the others
        half_way = retrace(model, rollout, (last // 2,))
        retracing.disagreement[unjudged] = half_way.disagreement[unjudged]
        retracing.took_part[unjudged] = half_way.took_part[unjudged]
    return retracing


def _disagreements(model: WorldModel, rollout: Rollout, frame: int, ks: list[int]) -> Tensor:
    """(B, len(ks)) between a frame and its retracings; NaN where a gripper switch forbids it.

    The way that begins earliest goes first, the others join when it comes to where they begin.
    So all are imagined in max(ks) + 1 steps of growing batches, not one after another.
    """
    last = rollout.actions.shape[1] - rollout.horizon + frame  # index of a_t
    actions = rollout.actions.cpu().numpy()
    windows = {k: actions[:, last - k : last + 1] for k in ks}
    steps = {
        k: torch.from_numpy(split(compose(window), k + 1)[:, 0]).to(rollout.actions)
        for k, window in windows.items()
    }
    under_way: list[int] = []
    present = model.rewind(rollout.state, rollout.horizon - frame)
    state, output = None, None
    for back in range(max(ks), -1, -1):  # frames between the present of the retracing and t
        if back in ks:
            beginning = model.rewind(present, back, hold_behavior=True)
            state = beginning if state is None else model.join(state, beginning)
            under_way.append(back)
        state, output = model.step(state, torch.cat([steps[k] for k in under_way]))
    assert output is not None
    ends = output.features.unflatten(0, (len(under_way), -1))
    distance = feature_distance(ends, rollout.features[:, frame])
    forbidden = torch.from_numpy(np.stack([holds_gripper_switch(windows[k]) for k in under_way]))
    distance = distance.cpu().masked_fill(forbidden, torch.nan)
    return distance[[under_way.index(k) for k in ks]].T


def feature_distance(first: Tensor, second: Tensor) -> Tensor:
    """Root mean square difference of features (..., N, C)."""
    return (first - second).square().mean((-2, -1)).sqrt()
