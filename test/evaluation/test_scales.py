"""Scales are what most nominal data stays under."""

import copy

import numpy as np
import pytest
import torch

from whale_ros.evaluation.prediction import foretell
from whale_ros.evaluation.scales import (
    PICTURE_ROOM,
    QUANTILE,
    measure_scales,
)
from whale_ros.evaluation.windows import held_out_windows
from whale_ros.imagination.live import HISTORY, MAX_HORIZON
from whale_ros.imagination.retracing import retrace
from whale_ros.training.sequences import Sequences


@torch.inference_mode()
def test_scales_are_quantiles_over_episodes_of_the_worst_that_an_episode_comes_to(
    small_model, held_out
):
    (window,) = held_out_windows(held_out, HISTORY, MAX_HORIZON)
    codes = small_model.encode(window.past_frames)
    z = small_model.behavior.infer(codes, small_model.normalised(window.past_actions))[:, -1]
    rollout = foretell(small_model, window, window.actions, z)
    candidate = retrace(small_model, rollout, (MAX_HORIZON - 1,)).uncertainty
    live = retrace(small_model, foretell(small_model, window, window.actions[:, :1], z), (0,))
    unfamiliarity = small_model.familiarity(window.future_frames).amax(dim=1)

    def expected(values):
        worst = [values[window.episodes == e].max() for e in range(len(held_out))]
        return pytest.approx(np.quantile(worst, QUANTILE), rel=1e-3)

    found = measure_scales(small_model, held_out)
    assert found.candidate_uncertainty == expected(candidate.numpy())
    assert found.live_uncertainty == expected(live.uncertainty.numpy())
    assert found.unfamiliarity / PICTURE_ROOM == expected(unfamiliarity.numpy())


def switching(held_out, episodes: slice):
    """With the gripper switched at every step of some episodes."""
    data = copy.copy(held_out)
    data.actions = Sequences([actions.clone() for actions in held_out.actions])
    for actions in list(data.actions)[episodes]:  # views
        actions[:, 6] = torch.arange(len(actions)) % 2
    return data


def test_windows_that_could_not_be_judged_do_not_count(small_model, held_out):
    found = measure_scales(small_model, switching(held_out, slice(0, 1)))
    assert all(np.isfinite(value) and value > 0 for value in found.__dict__.values())


def test_without_any_window_that_can_be_judged_there_is_no_scale(small_model, held_out):
    with pytest.raises(ValueError, match="gripper"):
        measure_scales(small_model, switching(held_out, slice(None)))
