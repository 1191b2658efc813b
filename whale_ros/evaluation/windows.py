"""Pieces of held-out episodes: what was observed, and what came then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from whale_ros.training.dataset import EpisodeSet
from whale_ros.world_model.frames import to_float

STRIDE = 5  # frames between the starts of two windows of an episode
BATCH = 60


@dataclass
class Window:
    """B pieces: T observed frames, then H that are to be foretold."""

    past_frames: Tensor  # (B, T, 3, R, R) float in [0, 1]
    past_actions: Tensor  # (B, T-1, 7)
    actions: Tensor  # (B, H, 7)
    other_actions: Tensor  # (B, H, 7) of another episode at that time
    future_frames: Tensor  # (B, H, 3, R, R) float in [0, 1]
    future_hand: Tensor  # (B, H, 3) [m]
    future_object: Tensor  # (B, H, 3) [m]
    episodes: Tensor  # (B,) index of the episode
    starts: Tensor  # (B,) frame of the episode at which the window begins

    @property
    def last(self) -> Tensor:
        """(B, 1, 3, R, R) the newest observed frame."""
        return self.past_frames[:, -1:]


def held_out_windows(
    data: EpisodeSet,
    history: int,
    horizon: int,
    device: torch.device | str = "cpu",
    seed: int = 0,
    stride: int = STRIDE,
) -> Iterator[Window]:
    """Windows of `horizon` steps after `history` frames, one every `stride` frames, in batches.

    The seed pairs each episode with another one, which lends it `other_actions`.
    Raises ValueError if the episodes are too short for any.
    """
    length = history + horizon
    if data.frames.shape[1] < length:
        raise ValueError(
            f"the episodes have {data.frames.shape[1]} frames, evaluation needs at least {length}"
        )
    starts = range(0, data.frames.shape[1] - length + 1, stride)
    pairs = torch.tensor([(e, s) for e in range(len(data)) for s in starts])
    for chunk in pairs.split(BATCH):
        yield windows_at(data, chunk, history, horizon, device, seed)


def windows_at(
    data: EpisodeSet,
    pairs: Tensor,
    history: int,
    horizon: int,
    device: torch.device | str = "cpu",
    seed: int = 0,
) -> Window:
    """The windows that begin at pairs (B, 2) of an episode and a frame of it."""
    episode, time = pairs[:, :1], pairs[:, 1:] + torch.arange(history + horizon)
    other = another_episode(len(data), seed)[episode]
    frames = to_float(data.frames[episode, time].to(device))
    actions = data.actions[episode, time[:, :-1]].to(device)
    now = history - 1  # the newest observed frame
    return Window(
        past_frames=frames[:, :history],
        past_actions=actions[:, :now],
        actions=actions[:, now:],
        other_actions=data.actions[other, time[:, now:-1]].to(device),
        future_frames=frames[:, history:],
        future_hand=data.hand_position[episode, time[:, history:]].to(device),
        future_object=data.object_position[episode, time[:, history:]].to(device),
        episodes=pairs[:, 0],
        starts=pairs[:, 1],
    )


def another_episode(episodes: int, seed: int) -> Tensor:
    """(E,) for each episode a random other one, if there is one; no two have the same."""
    order = torch.randperm(episodes, generator=torch.Generator().manual_seed(seed))
    other = torch.empty_like(order)
    other[order] = order.roll(1)
    return other
