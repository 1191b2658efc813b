"""Units of the uncertainties: what most windows of nominal held-out episodes stay under.

They make the three comparable; how many times its scale a threshold is tells the calibration.
"""

from __future__ import annotations

import torch
from torch import Tensor

from whale_ros.evaluation.windows import Window, held_out_windows
from whale_ros.imagination.live import HISTORY, MAX_HORIZON, imagine_after
from whale_ros.imagination.retracing import judge
from whale_ros.training.dataset import EpisodeSet
from whale_ros.world_model.checkpoint import Scales
from whale_ros.world_model.whale_st import WhaleST

CANDIDATE_QUANTILE = 0.95
LIVE_QUANTILE = 0.999  # looked at ten times a second, so false alarms must be rarer
UNFAMILIARITY_MARGIN = 1.1


def measure_scales(model: WhaleST, data: EpisodeSet) -> Scales:
    """From the uncertainties of a split that the model was not trained on.

    Raises ValueError if none of its windows can be judged.
    """
    candidate, live, unfamiliarity = [], [], []
    for window in held_out_windows(data, HISTORY, MAX_HORIZON, model.device):
        candidate.append(candidate_uncertainty(model, window))
        live.append(live_uncertainty(model, window))
        unfamiliarity.append(model.familiarity(window.future_frames).flatten())
    return Scales(
        live_uncertainty=_quantile(live, LIVE_QUANTILE),
        candidate_uncertainty=_quantile(candidate, CANDIDATE_QUANTILE),
        unfamiliarity=UNFAMILIARITY_MARGIN * _quantile(unfamiliarity, LIVE_QUANTILE),
    )


def candidate_uncertainty(model: WhaleST, window: Window) -> Tensor:
    """(B,) of the whole rollouts, as for a planner's candidates."""
    return _uncertainty(model, window, window.actions)


def live_uncertainty(model: WhaleST, window: Window) -> Tensor:
    """(B,) of the first step, as for every camera image."""
    return _uncertainty(model, window, window.actions[:, :1])


@torch.inference_mode()
def _uncertainty(model: WhaleST, window: Window, actions: Tensor) -> Tensor:
    codes = model.encode(window.past_frames)
    rollout = imagine_after(model, codes, window.past_actions, actions)
    return judge(model, rollout).uncertainty


def _quantile(values: list[Tensor], share: float) -> float:
    together = torch.cat(values)
    judged = together[~together.isnan()]
    if not len(judged):
        raise ValueError("no window of the held-out episodes is free of gripper switches")
    return float(torch.quantile(judged, share))
