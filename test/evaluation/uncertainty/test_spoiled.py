"""Spoiled pictures are spoiled as said, and nothing else of a window changes."""

import pytest
import torch

from whale_ros.evaluation.uncertainty.spoiled import SPOILED, blurred, frozen, occluded
from whale_ros.evaluation.windows import held_out_windows


@pytest.fixture
def window(held_out):
    return next(held_out_windows(held_out, 6, 8))


def test_blur_of_a_point_is_a_gaussian(window):
    window.past_frames = torch.zeros(1, 1, 3, 31, 31)
    window.past_frames[..., 15, 15] = 1
    row = blurred(window, 2.0).past_frames[0, 0, 0, 15]
    x = torch.arange(31) - 15.0
    expected = torch.exp(-(x**2) / 8)
    torch.testing.assert_close(row / row.max(), expected, atol=0.02, rtol=0)
    assert blurred(window, 2.0).past_frames.sum() == pytest.approx(3, rel=0.01)


def test_the_middle_is_covered_and_the_rest_is_not(window):
    covered = occluded(window, 0.5).past_frames
    assert (covered[..., 8:24, 8:24] == 0.5).all()
    untouched = torch.ones(32, 32, dtype=torch.bool)
    untouched[8:24, 8:24] = False
    assert torch.equal(covered[..., untouched], window.past_frames[..., untouched])


def test_a_frozen_camera_shows_one_frame_while_the_world_goes_on(window):
    stuck = frozen(window, 3)
    for frame in (3, 4, 5):
        assert torch.equal(stuck.past_frames[:, frame], window.past_frames[:, 2])
    assert torch.equal(stuck.past_frames[:, :3], window.past_frames[:, :3])
    assert torch.equal(stuck.future_frames, window.future_frames)


def test_a_camera_that_never_ran_cannot_freeze(window):
    with pytest.raises(ValueError, match="6 of 6 frames"):
        frozen(window, 6)


@pytest.mark.parametrize("name", SPOILED)
def test_more_severe_is_further_from_the_truth(window, name):
    _, severities, spoil = SPOILED[name]
    original = window.past_frames.clone()
    distances = [(spoil(window, s).past_frames - original).abs().mean() for s in severities]
    assert distances == sorted(distances) and distances[0] > 0
    assert torch.equal(window.past_frames, original)
