"""Units of the uncertainties: what most nominal held-out episodes stay under.

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

QUANTILE = 0.9
# More for pictures, whose tail is the longest: a hand in a rare place is so in every image, and an
# arm that is held for it stays there.
PICTURE_ROOM = 2.5


def measure_scales(model: WhaleST, data: EpisodeSet) -> Scales:
    """From the uncertainties of a split that the model was not trained on.

    Of what an episode comes to at most, the same share of episodes is over each of the scales, but
    for the room that pictures have. So one factor does for all three.
    Raises ValueError if none of its windows can be judged.
    """
    candidate, live, unfamiliarity = (torch.full((len(data),), -torch.inf) for _ in range(3))
    for window in held_out_windows(data, HISTORY, MAX_HORIZON, model.device):
        for worst, values in (
            (candidate, candidate_uncertainty(model, window)),
            (live, live_uncertainty(model, window)),
            (unfamiliarity, model.familiarity(window.future_frames).amax(dim=1).cpu()),
        ):
            judged = values.nan_to_num(nan=-torch.inf)
            worst.scatter_reduce_(0, window.episodes, judged, "amax")
    return Scales(
        live_uncertainty=_quantile(live),
        candidate_uncertainty=_quantile(candidate),
        unfamiliarity=PICTURE_ROOM * _quantile(unfamiliarity),
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


def _quantile(worst: Tensor) -> float:
    judged = worst[worst.isfinite()]
    if not len(judged):
        raise ValueError("no window of the held-out episodes is free of gripper switches")
    return float(torch.quantile(judged, QUANTILE))
