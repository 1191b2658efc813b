"""A tiny dataset whose frames and actions tell where they are from."""

import numpy as np
import pytest

from whale_ros.actions.space import ActionSpace
from whale_ros.data.episodes import Episode, EpisodeInfo, save_episode, write_manifest

STEPS = 19


@pytest.fixture
def write_data(tmp_path):
    """write_data(steps=(19, 19), split="train"): a folder with an episode for each length."""

    def write(steps=(STEPS, STEPS, STEPS), split="train"):
        infos = []
        for number, count in enumerate(steps):
            frames = np.zeros((count + 1, 32, 32, 3), np.uint8)
            frames[..., 0] = 20 * number
            frames[..., 1] = np.arange(count + 1)[:, None, None]
            frames[..., 2] = np.random.default_rng(number).integers(0, 256, (1, 32, 32))
            actions = np.zeros((count, 7), np.float32)
            actions[:, 0], actions[:, 1] = number, np.arange(count)
            still = np.zeros((count + 1, 3), np.float32)
            done = np.zeros(count + 1, bool)
            episode = Episode(frames, actions, still, still, done.astype(np.float32), done)
            info = EpisodeInfo(f"{split}/{number}.npz", split, "reach-v3", "expert", number)
            save_episode(tmp_path / "data" / info.file, episode)
            infos.append(info)
        write_manifest(tmp_path / "data", ActionSpace(), infos)
        return tmp_path / "data"

    return write
