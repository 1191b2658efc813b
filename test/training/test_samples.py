"""Sample pictures show what they say."""

import numpy as np
import pytest
import torch

from whale_ros.imagination.live import HISTORY
from whale_ros.imagination.rollout import imagine
from whale_ros.training.dataset import EpisodeSet
from whale_ros.training.pretrain import encode_all
from whale_ros.training.samples import imaginations, reconstructions
from whale_ros.world_model.frames import to_bytes, to_float


@pytest.fixture
def data(write_data):
    return EpisodeSet(write_data(), "train")


def test_reconstructions_stand_below_the_real_frames(data, small_model):
    sheet = reconstructions(small_model, data, gap=5)
    assert sheet.shape == (2 * 32, 3 * 32, 3) and sheet.dtype == np.uint8
    assert np.array_equal(sheet[:32, 64:], data.frames[2][5].numpy())
    frames = to_float(data.frames[2])
    with torch.inference_mode():
        decoded = small_model.decode(small_model.encode(frames[5:6]), frames[:1])
    assert_alike(sheet[32:, 64:], to_bytes(decoded[0]).numpy())


def test_imaginations_stand_below_the_frames_they_foretell(data, small_model):
    codes = encode_all(small_model, data)
    length = HISTORY + 4
    sheet = imaginations(small_model, data, codes, length)
    assert sheet.shape == (3 * 2 * 32, 4 * 32, 3) and sheet.dtype == np.uint8
    assert np.array_equal(sheet[64:96, 32:64], data.frames[1][HISTORY + 1].numpy())
    actions = data.actions[1][None]
    past = actions[:, : HISTORY - 1]
    state = small_model.start(codes[1][None, :HISTORY].long(), past)
    rollout = imagine(small_model, state, actions[:, HISTORY - 1 : length - 1], past)
    reference = to_float(data.frames[1][None, HISTORY - 1])
    with torch.inference_mode():
        imagined = small_model.decode(rollout.latents[:, 1], reference)
    assert_alike(sheet[96:128, 32:64], to_bytes(imagined[0]).numpy())


def assert_alike(first: np.ndarray, second: np.ndarray) -> None:
    """But for the rounding that differs with the batch."""
    assert np.abs(first.astype(int) - second).max() <= 1
