"""Errors of imagined frames, against a slow count of the same."""

import pytest
import torch
from torch import nn

from whale_ros.evaluation.prediction import MOVING
from whale_ros.evaluation.uncertainty.errors import Errors


class Corner(nn.Module):
    """Stands in for a trained probe: a thing is where the first pixel's colour says."""

    def forward(self, frames):
        return frames[:, :, 0, 0]


@pytest.fixture
def errors(small_model):
    return Errors(small_model, Corner(), Corner())


@torch.inference_mode()
def test_every_error_is_what_a_slow_count_gives(errors, imagined, small_model):
    told, window = errors.of(imagined), imagined.window
    for row, frame in ((0, 0), (3, 7), (-1, 4)):
        real = window.future_frames[row, frame]
        code = imagined.rollout.latents[row, frame]
        picture = small_model.decode(code[None], window.past_frames[row, -1])[0]
        moving = (real - window.past_frames[row, -1]).abs().amax(0) > MOVING
        rms = (picture - real)[:, moving].square().mean().sqrt()
        torch.testing.assert_close(told["pixels"][row, frame], rms, atol=1e-5, rtol=1e-4)
        hand = 100 * (picture[:, 0, 0] - window.future_hand[row, frame]).norm()
        thing = 100 * (picture[:, 0, 0] - window.future_object[row, frame]).norm()
        torch.testing.assert_close(told["hand_cm"][row, frame], hand, atol=1e-3, rtol=1e-4)
        torch.testing.assert_close(told["object_cm"][row, frame], thing, atol=1e-3, rtol=1e-4)
        features = small_model.features(small_model.encode(real[None]))[0]
        apart = (imagined.rollout.features[row, frame] - features).square().mean().sqrt()
        torch.testing.assert_close(told["features"][row, frame], apart)


@torch.inference_mode()
def test_what_comes_true_has_no_error_in_features(errors, imagined, small_model):
    real = imagined.window.future_frames
    imagined.rollout.features = small_model.features(small_model.encode(real))
    assert errors.of(imagined)["features"].max() < 1e-6


def test_where_nothing_moves_there_is_no_error_of_moving_pixels(errors, imagined):
    imagined.window.future_frames = imagined.window.last.expand_as(imagined.window.future_frames)
    assert errors.of(imagined)["pixels"].isnan().all()
