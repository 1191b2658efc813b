"""The value learns to count the steps that are left, from episodes that succeed."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from whale_ros.actions.space import ActionSpace
from whale_ros.data.episodes import Episode, EpisodeInfo, save_episode, write_manifest
from whale_ros.training.dataset import EpisodeSet
from whale_ros.training.value import rank_correlation, train_value

STEPS = 12


class Eyes:
    """A model whose features are a thumbnail: what random weights see is nearly always the same."""

    device = torch.device("cpu")

    def encode(self, frames):
        return F.adaptive_avg_pool2d(frames, 4).flatten(2).mT

    def features(self, latents):
        return latents


def _write(folder, successes):
    """Episodes in which every frame is of its own; the first success of each, or None."""
    infos = []
    for number, success in enumerate(successes):
        frames = np.random.default_rng(0).choice([0, 255], (STEPS + 1, 4, 4, 3)).astype(np.uint8)
        frames = frames.repeat(8, axis=1).repeat(8, axis=2)
        done = np.arange(STEPS + 1) >= (STEPS + 1 if success is None else success)
        still = np.zeros((STEPS + 1, 3), np.float32)
        actions = np.zeros((STEPS, 7), np.float32)
        episode = Episode(frames, actions, still, still, done.astype(np.float32), done)
        info = EpisodeInfo(f"train/{number}.npz", "train", "reach-v3", "expert", number)
        save_episode(folder / info.file, episode)
        infos.append(info)
    write_manifest(folder, ActionSpace(), infos)
    return EpisodeSet(folder, "train")


def test_it_counts_the_steps_left(tmp_path):
    data = _write(tmp_path, [10, 10, None])
    assert data.success_at.tolist() == [10, 10, -1]
    value = train_value(Eyes(), data, seed=0, steps=200)
    assert rank_correlation(Eyes(), value, data) > 0.8


def test_a_seed_gives_one_value(tmp_path):
    data = _write(tmp_path, [10, 8])
    one, same, other = (train_value(Eyes(), data, seed, steps=3) for seed in (0, 0, 1))
    assert all(map(torch.equal, one.state_dict().values(), same.state_dict().values()))
    assert not torch.equal(one.layers[0].weight, other.layers[0].weight)


def test_episodes_that_never_succeed_teach_nothing(tmp_path):
    with pytest.raises(ValueError, match="no episode of .* succeeds"):
        train_value(Eyes(), _write(tmp_path, [None]), seed=0)
