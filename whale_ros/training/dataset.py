"""A whole dataset in memory, and the random pieces of it that training needs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from whale_ros.actions.space import ActionSpace
from whale_ros.data.episodes import EpisodeInfo, load_episode, manifest_hash, read_manifest
from whale_ros.world_model.config import WhaleConfig
from whale_ros.world_model.frames import to_float


class EpisodeSet:
    """Episodes of one split, all of the same length."""

    def __init__(self, folder: Path, split: str) -> None:
        """Raises ValueError if the split is empty or its episodes differ in length."""
        self.folder = folder
        self.action_space: ActionSpace
        self.action_space, infos = read_manifest(folder)
        self.manifest_sha256 = manifest_hash(folder)
        self.infos: list[EpisodeInfo] = [info for info in infos if info.split == split]
        if not self.infos:
            raise ValueError(f"{folder} has no {split} episodes")
        loaded = [load_episode(folder / info.file) for info in tqdm(self.infos, f"loading {split}")]
        if len({len(episode.actions) for episode in loaded}) > 1:
            raise ValueError(f"the {split} episodes of {folder} differ in length")
        self.frames = torch.from_numpy(np.stack([e.frames for e in loaded]))  # (E, T+1, R, R, 3)
        self.actions = torch.from_numpy(np.stack([e.actions for e in loaded]))  # (E, T, 7)
        # (E, T+1, 3) in the base frame [m]
        self.hand_position = torch.from_numpy(np.stack([e.hand_position for e in loaded]))
        self.object_position = torch.from_numpy(np.stack([e.object_position for e in loaded]))
        self.progress = torch.from_numpy(np.stack([e.progress for e in loaded]))  # (E, T+1)
        self.success = torch.from_numpy(np.stack([e.success for e in loaded]))  # (E, T+1) bool

    def must_fit(self, config: WhaleConfig) -> None:
        """Raise ValueError if the frames are not of the resolution that the model takes."""
        height, width = self.frames.shape[2:4]
        resolution = config.tokenizer.resolution
        if (height, width) != (resolution, resolution):
            raise ValueError(
                f"the episodes of {self.folder} have {width} x {height} pixels, model "
                f"{config.name!r} takes {resolution} x {resolution}; record them with "
                f"`whale collect --resolution {resolution}`"
            )

    def __len__(self) -> int:
        return len(self.infos)

    def frame_pairs(
        self, batch: int, max_gap: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Random frames and earlier frames of the same episodes, each (B, 3, R, R) in [0, 1]."""
        episode = torch.randint(len(self), (batch,), generator=generator)
        frame = torch.randint(self.frames.shape[1], (batch,), generator=generator)
        gap = torch.randint(max_gap + 1, (batch,), generator=generator)
        reference = (frame - gap).clamp(min=0)
        return to_float(self.frames[episode, frame]), to_float(self.frames[episode, reference])

    def windows(
        self, codes: Tensor, batch: int, length: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Random sequences: codes (B, length, N, C) long and actions (B, length-1, 7)."""
        episode = torch.randint(len(self), (batch,), generator=generator)
        start = torch.randint(codes.shape[1] - length + 1, (batch,), generator=generator)
        time = start[:, None] + torch.arange(length)
        return codes[episode[:, None], time].long(), self.actions[episode[:, None], time[:, :-1]]
