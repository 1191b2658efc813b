"""Held-out episodes in memory, of random pictures that change a little from frame to frame."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

EPISODES, FRAMES = 3, 27


@pytest.fixture(scope="session")
def held_out():
    """What evaluation reads of an EpisodeSet: its frames, its actions and how many there are."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (EPISODES, 1, 32, 32, 3)).repeat(FRAMES, axis=1)
    for t in range(FRAMES):  # a square that moves
        frames[:, t, 5:15, t : t + 6] = rng.integers(0, 256, (EPISODES, 10, min(6, 32 - t), 3))
    actions = rng.uniform(-0.03, 0.03, (EPISODES, FRAMES - 1, 7)).astype(np.float32)
    actions[..., 6] = 0

    class Data(SimpleNamespace):
        def __len__(self):
            return EPISODES

    return Data(frames=torch.from_numpy(frames.astype(np.uint8)), actions=torch.from_numpy(actions))
