"""Recorded episodes of one task as a policy sees them, and as transitions to learn from.

A policy observes the tokenizer's features of the newest frame and of the one before it, because a
single frame does not tell where things are moving. It acts as Meta-World's own policies do, by
translation and gripper: the tasks need no rotation, and small ones would add up over an episode to
what no short rollout shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from whale_ros.actions.space import DIM, GRIPPER, POSITION, ActionSpace
from whale_ros.data.episodes import load_episode, read_manifest
from whale_ros.world_model.frames import to_float
from whale_ros.world_model.whale_st import WhaleST

ACTION = 4  # numbers of a policy's action: translation and gripper, -1 .. 1


@dataclass
class OfflineData:
    """E episodes of T actions. On CPU."""

    action_space: ActionSpace
    behaviors: list[str]  # of each episode
    codes: Tensor  # (E, T+1, N, C) long
    observations: Tensor  # (E, T+1, 2 * N * C) float
    actions: Tensor  # (E, T, 7) float, physical units
    progress: Tensor  # (E, T+1) float, 0 .. 1
    success: Tensor  # (E, T+1) bool

    @property
    def steps(self) -> int:
        return self.actions.shape[1]

    @property
    def policy_actions(self) -> Tensor:
        """(E, T, ACTION) as a policy gives them."""
        normal = torch.from_numpy(self.action_space.normalise(self.actions.numpy()))
        return torch.cat([normal[..., POSITION], normal[..., GRIPPER:]], dim=-1)


@torch.inference_mode()
def load_offline(
    model: WhaleST, folder: Path, split: str, task: str, behaviors: Sequence[str]
) -> OfflineData:
    """Of one task and these behaviours.

    Raises ValueError if there are no such episodes, or they differ in length.
    """
    space, infos = read_manifest(folder)
    infos = [info for info in infos if (info.split, info.task) == (split, task)]
    infos = [info for info in infos if info.behavior in behaviors]
    if not infos:
        raise ValueError(f"{folder} has no {split} episodes of {task} by {', '.join(behaviors)}")
    codes, actions, progress, success = [], [], [], []
    for info in tqdm(infos, f"encoding {split}"):
        episode = load_episode(folder / info.file)
        if episode.progress is None or episode.success is None:
            raise ValueError(f"{folder / info.file} does not tell how far the task had come")
        frames = to_float(torch.from_numpy(episode.frames)).to(model.device)
        codes.append(model.encode(frames).cpu())
        actions.append(torch.from_numpy(episode.actions))
        progress.append(torch.from_numpy(episode.progress))
        success.append(torch.from_numpy(episode.success))
    if len({len(a) for a in actions}) > 1:
        raise ValueError(f"the {split} episodes of {task} in {folder} differ in length")
    every_code = torch.stack(codes)
    return OfflineData(
        action_space=space,
        behaviors=[info.behavior for info in infos],
        codes=every_code,
        observations=observe(model.features(every_code.to(model.device)).cpu()),
        actions=torch.stack(actions),
        progress=torch.stack(progress),
        success=torch.stack(success),
    )


def observe(features: Tensor) -> Tensor:
    """What a policy sees (..., T, 2 * N * C) of features (..., T, N, C): newest frame first.

    Before the first frame there was nothing else, so it stands for its own past.
    """
    now = features.flatten(-2)
    before = torch.cat([now[..., :1, :], now[..., :-1, :]], dim=-2)
    return torch.cat([now, before], dim=-1)


def physical(actions: np.ndarray, space: ActionSpace) -> np.ndarray:
    """A policy's actions (..., ACTION) as actions (..., 7) within the limits of the space."""
    values = np.zeros((*actions.shape[:-1], DIM))
    values[..., POSITION] = actions[..., :-1] * space.max_translation_m
    values[..., GRIPPER] = (actions[..., -1] + 1) / 2
    return space.clip(values).astype(np.float32)
