"""Held-out episodes in memory, of random pictures that change a little from frame to frame."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from whale_ros.data.episodes import EpisodeInfo

EPISODES, FRAMES, SIZE = 4, 27, 32


@pytest.fixture(scope="session")
def held_out():
    """What evaluation reads of an EpisodeSet."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (EPISODES, 1, SIZE, SIZE, 3)).repeat(FRAMES, axis=1)
    for t in range(FRAMES):  # a square that moves
        width = min(6, SIZE - t)
        frames[:, t, 5:15, t : t + 6] = rng.integers(0, 256, (EPISODES, 10, width, 3))
    actions = rng.uniform(-0.03, 0.03, (EPISODES, FRAMES - 1, 7)).astype(np.float32)
    actions[..., 6] = 0
    hand, thing = rng.uniform(-0.3, 0.3, (2, EPISODES, FRAMES, 3)).astype(np.float32)
    kinds = [("reach-v3", "expert"), ("reach-v3", "noisy"), ("push-v3", "expert")]
    infos = [
        EpisodeInfo(f"validation/{i}.npz", "validation", *kinds[i % len(kinds)], seed=i)
        for i in range(EPISODES)
    ]

    class Data(SimpleNamespace):
        def __len__(self):
            return EPISODES

    return Data(
        frames=torch.from_numpy(frames.astype(np.uint8)),
        actions=torch.from_numpy(actions),
        hand_position=torch.from_numpy(hand),
        object_position=torch.from_numpy(thing),
        success=torch.arange(FRAMES).expand(EPISODES, -1) > FRAMES - 3,
        infos=infos,
    )
