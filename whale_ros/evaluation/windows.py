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
    future_object: Tensor | None  # (B, H, 3) [m]; None if nobody knows
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
    Raises ValueError if an episode is too short for any.
    """
    length = history + horizon
    data.must_last(length, "evaluation")
    ends = (data.frames.lengths - length + 1).tolist()
    pairs = torch.tensor([(e, s) for e, end in enumerate(ends) for s in range(0, end, stride)])
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
    # That time, or what is nearest to it in a shorter episode.
    late = (time[:, -1:] - data.actions.lengths[other]).clamp(min=0)
    other_time = time[:, history - 1 : -1] - late
    frames = to_float(data.frames[episode, time].to(device))
    actions = data.actions[episode, time[:, :-1]].to(device)
    now = history - 1  # the newest observed frame
    return Window(
        past_frames=frames[:, :history],
        past_actions=actions[:, :now],
        actions=actions[:, now:],
        other_actions=data.actions[other, other_time].to(device),
        future_frames=frames[:, history:],
        future_hand=data.hand_position[episode, time[:, history:]].to(device),
        future_object=None
        if data.object_position is None
        else data.object_position[episode, time[:, history:]].to(device),
        episodes=pairs[:, 0],
        starts=pairs[:, 1],
    )


def another_episode(episodes: int, seed: int) -> Tensor:
    """(E,) for each episode a random other one, if there is one; no two have the same."""
    order = torch.randperm(episodes, generator=torch.Generator().manual_seed(seed))
    other = torch.empty_like(order)
    other[order] = order.roll(1)
    return other
