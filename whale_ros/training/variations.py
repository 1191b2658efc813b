"""Few demonstrations become many: each again, a little displaced and in another light.

All frames of an episode alike, so that its actions still do what they show. Without this, a model
soon knows a few demonstrations by heart, and foretells others worse.
"""

from __future__ import annotations

from copy import copy

import torch
import torch.nn.functional as F
from torch import Tensor

from whale_ros.training.dataset import EpisodeSet
from whale_ros.training.sequences import Sequences

ENOUGH = 100  # episodes: of more, none is varied
MOST = 12  # times that one comes, as it is included
SHIFT = 1 / 20  # of the picture's side, at most
LIGHT = 0.15  # by so much brighter or darker, for each colour, and half of it in all


def varied(data: EpisodeSet, seed: int) -> EpisodeSet:
    """With the episodes as they are first."""
    times = min(MOST, -(-ENOUGH // len(data)))
    generator = torch.Generator().manual_seed(seed)
    more = copy(data)
    frames, actions = list(data.frames), list(data.actions)
    for _ in range(times - 1):
        frames += [vary(episode, generator) for episode in data.frames]
        actions += list(data.actions)
    more.frames, more.actions, more.infos = (
        Sequences(frames), Sequences(actions), times * data.infos,
    )  # fmt: skip
    return more


def vary(frames: Tensor, generator: torch.Generator) -> Tensor:
    """Pictures (T, R, R, 3) uint8 of one episode; what comes into view repeats the margin."""
    size = frames.shape[1]
    most = round(SHIFT * size)
    x = frames.permute(0, 3, 1, 2) / 255
    x = F.pad(x, [most] * 4, mode="replicate")
    down, right = torch.randint(2 * most + 1, (2,), generator=generator).tolist()
    x = x[:, :, down : down + size, right : right + size]
    colour, light = (2 * torch.rand(n, 1, 1, generator=generator) - 1 for n in (3, 1))
    x = (x * (1 + LIGHT * colour) + LIGHT / 2 * light).clamp(0, 1)
    return (255 * x).round().byte().permute(0, 2, 3, 1)
