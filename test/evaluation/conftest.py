"""Held-out episodes of random pictures that change a little from frame to frame."""

import numpy as np
import pytest

from whale_ros.actions.space import ActionSpace
from whale_ros.data.episodes import Episode, EpisodeInfo, save_episode, write_manifest
from whale_ros.training.dataset import EpisodeSet

EPISODES, FRAMES, SIZE = 4, 27, 32


@pytest.fixture(scope="session")
def write_held_out(tmp_path_factory):
    """write_held_out(frames): episodes of so many frames each."""

    def write(frames=(FRAMES,) * EPISODES) -> EpisodeSet:
        rng = np.random.default_rng(0)
        folder = tmp_path_factory.mktemp("held_out")
        kinds = [("reach-v3", "expert"), ("reach-v3", "noisy"), ("push-v3", "expert")]
        infos = []
        for number, count in enumerate(frames):
            still = rng.integers(0, 256, (1, SIZE, SIZE, 3), np.uint8)
            pictures = still.repeat(count, axis=0)
            for t in range(count):  # a square that moves
                width = min(6, SIZE - t)
                pictures[t, 5:15, t : t + 6] = rng.integers(0, 256, (10, width, 3))
            actions = rng.uniform(-0.03, 0.03, (count - 1, 7)).astype(np.float32)
            actions[:, 6] = 0
            hand, thing = rng.uniform(-0.3, 0.3, (2, count, 3)).astype(np.float32)
            done = np.arange(count) > count - 3
            episode = Episode(pictures, actions, hand, thing, done.astype(np.float32), done)
            task, behavior = kinds[number % len(kinds)]
            file = f"validation/{number}.npz"
            info = EpisodeInfo(file, "validation", task, behavior, seed=number)
            save_episode(folder / file, episode)
            infos.append(info)
        write_manifest(folder, ActionSpace(), infos)
        return EpisodeSet(folder, "validation")

    return write


@pytest.fixture(scope="session")
def held_out(write_held_out) -> EpisodeSet:
    return write_held_out()
