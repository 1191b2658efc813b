"""Thresholds are bounds that nominal data stays under."""

import numpy as np
import pytest
import torch

from whale_ros.evaluation.prediction import HORIZON, foretell, held_out_windows
from whale_ros.evaluation.thresholds import (
    CANDIDATE_QUANTILE,
    LIVE_QUANTILE,
    UNFAMILIARITY_MARGIN,
    measure_thresholds,
)
from whale_ros.imagination.retracing import retrace


@torch.inference_mode()
def test_thresholds_are_quantiles_over_held_out_windows(small_model, held_out):
    (window,) = held_out_windows(held_out, 6)
    rollout = foretell(small_model, window, window.actions)
    candidate = retrace(small_model, rollout, (HORIZON - 1,)).uncertainty
    live = retrace(small_model, foretell(small_model, window, window.actions[:, :1]), (0,))
    unfamiliarity = small_model.familiarity(window.future_frames).flatten()

    found = measure_thresholds(small_model, held_out)
    assert found.candidate_uncertainty == pytest.approx(
        np.quantile(candidate.numpy(), CANDIDATE_QUANTILE), rel=1e-3
    )
    assert found.live_uncertainty == pytest.approx(
        np.quantile(live.uncertainty.numpy(), LIVE_QUANTILE), rel=1e-3
    )
    assert found.unfamiliarity == pytest.approx(
        UNFAMILIARITY_MARGIN * np.quantile(unfamiliarity.numpy(), LIVE_QUANTILE), rel=1e-3
    )


def test_windows_that_could_not_be_judged_do_not_count(small_model, held_out):
    class Switching:
        frames, actions = held_out.frames, held_out.actions.clone()

        def __len__(self):
            return len(held_out)

    data = Switching()
    data.actions[0, :, 6] = torch.arange(data.actions.shape[1]) % 2  # one episode
    found = measure_thresholds(small_model, data)
    assert all(np.isfinite(value) and value > 0 for value in found.__dict__.values())


def test_without_any_window_that_can_be_judged_there_is_no_threshold(small_model, held_out):
    class Switching:
        frames, actions = held_out.frames, held_out.actions.clone()

        def __len__(self):
            return len(held_out)

    data = Switching()
    data.actions[:, :, 6] = torch.arange(data.actions.shape[1]) % 2
    with pytest.raises(ValueError, match="gripper"):
        measure_thresholds(small_model, data)
