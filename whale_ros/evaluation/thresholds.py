"""Bounds on the uncertainties: what nominal held-out episodes stay under.

A first, plain version: quantiles over windows. Conformal calibration will take its place.
"""

from __future__ import annotations

import torch
from torch import Tensor

from whale_ros.evaluation.prediction import foretell
from whale_ros.evaluation.windows import Window, held_out_windows
from whale_ros.imagination.live import HISTORY, MAX_HORIZON
from whale_ros.imagination.retracing import judge
from whale_ros.training.dataset import EpisodeSet
from whale_ros.world_model.checkpoint import Thresholds
from whale_ros.world_model.whale_st import WhaleST

CANDIDATE_QUANTILE = 0.95
LIVE_QUANTILE = 0.999  # looked at ten times a second, so false alarms must be rarer
UNFAMILIARITY_MARGIN = 1.1


def measure_thresholds(model: WhaleST, data: EpisodeSet) -> Thresholds:
    """From the uncertainties of a split that the model was not trained on.

    Raises ValueError if none of its windows can be judged.
    """
    candidate, live, unfamiliarity = [], [], []
    for window in held_out_windows(data, HISTORY, MAX_HORIZON, model.device):
        candidate.append(candidate_uncertainty(model, window))
        live.append(live_uncertainty(model, window))
        unfamiliarity.append(model.familiarity(window.future_frames).flatten())
    return Thresholds(
        live_uncertainty=_quantile(live, LIVE_QUANTILE),
        candidate_uncertainty=_quantile(candidate, CANDIDATE_QUANTILE),
        unfamiliarity=UNFAMILIARITY_MARGIN * _quantile(unfamiliarity, LIVE_QUANTILE),
    )


def candidate_uncertainty(model: WhaleST, window: Window) -> Tensor:
    """(B,) of the whole rollouts, as for a planner's candidates."""
    rollout = foretell(model, window, window.actions)
    return judge(model, rollout).uncertainty


def live_uncertainty(model: WhaleST, window: Window) -> Tensor:
    """(B,) of the first step, as for every camera image."""
    rollout = foretell(model, window, window.actions[:, :1])
    return judge(model, rollout).uncertainty


def _quantile(values: list[Tensor], share: float) -> float:
    together = torch.cat(values)
    judged = together[~together.isnan()]
    if not len(judged):
        raise ValueError("no window of the held-out episodes is free of gripper switches")
    return float(torch.quantile(judged, share))
