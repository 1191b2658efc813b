"""A whole dataset in memory, and the random pieces of it that training needs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from copy import copy
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from whale_ros.actions.space import ActionSpace
from whale_ros.data.conversion_log import ConversionLog
from whale_ros.data.episodes import EpisodeInfo, load_episode, manifest_hash, read_manifest
from whale_ros.training.sequences import Sequences
from whale_ros.world_model.config import WhaleConfig
from whale_ros.world_model.frames import to_float


class EpisodeSet:
    """Episodes of one split, or all: T_e actions each, and T_e + 1 of everything else."""

    def __init__(
        self,
        folder: Path,
        split: str | None,
        at_most: int | None = None,
        without: Collection[str] = (),
    ) -> None:
        """at_most: so many, from all over the split. without: what the episodes to leave out are
        known by, see `known_by`.

        Raises ValueError if nothing is there, or nothing left.
        """
        self.folder = folder
        self.action_space: ActionSpace
        self.action_space, every = read_manifest(folder)
        self.manifest_sha256 = manifest_hash(folder)
        self.infos: list[EpisodeInfo] = [i for i in every if split in (None, i.split)]
        if not self.infos:
            splits = ", ".join(dict.fromkeys(info.split for info in every))
            one_in_five = "; one demonstration in five validates: record two or more"
            raise ValueError(
                f"{folder} has no {split} episodes; its splits are: {splits}"
                + (one_in_five if split == "validation" else "")
            )
        log = ConversionLog(folder)
        bags = {made["file"]: bag["sha256"] for bag in log.bags for made in bag["episodes"]}
        if without:
            self.infos = [i for i in self.infos if not _known_by(folder, i, bags) & set(without)]
        if not self.infos:
            raise ValueError(f"the model has learnt from all episodes of {folder}; record others")
        if at_most is not None:
            self.infos = self.infos[:: -(-len(self.infos) // at_most)]
        bar = tqdm(self.infos, f"loading {split or 'episodes'}")
        loaded = [load_episode(folder / info.file) for info in bar]
        # SHA-256 of each file, and of the bag that it came from: the same episode has the same ones
        # in any dataset, and however it was converted.
        self.known_by = [_known_by(folder, info, bags) for info in self.infos]
        sizes = {episode.frames.shape[1:] for episode in loaded}
        if len(sizes) > 1:
            raise ValueError(f"the episodes of {folder} differ in resolution")

        def together(arrays: list[np.ndarray]) -> Sequences:
            return Sequences([torch.from_numpy(array) for array in arrays])

        self.frames = together([e.frames for e in loaded])  # (T_e+1, R, R, 3) uint8
        self.actions = together([e.actions for e in loaded])  # (T_e, 7)
        # In the base frame [m]. Of recorded demonstrations nobody knows where the object is.
        self.hand_position = together([e.hand_position for e in loaded])  # (T_e+1, 3)
        known = [e.object_position for e in loaded if e.object_position is not None]
        self.object_position = together(known) if len(known) == len(loaded) else None
        outcomes = [e.success for e in loaded if e.success is not None]
        self.success = together(outcomes) if len(outcomes) == len(loaded) else None  # (T_e+1,)
        # (E,) first frame of success; -1 if it never came, or nobody knows
        self.success_at = torch.tensor([_first(e.success) for e in loaded])
        # (E,) bool; of those whose outcome nobody knows it is not known
        self.failed = torch.tensor([e.success is not None and not e.success.any() for e in loaded])

    def select(self, rows: Sequence[int]) -> EpisodeSet:
        """Those of the episodes, at least one, in that order."""

        def of(every: Sequences) -> Sequences:
            return Sequences([every[row] for row in rows])

        chosen = copy(self)
        chosen.infos = [self.infos[row] for row in rows]
        chosen.known_by = [self.known_by[row] for row in rows]
        chosen.frames, chosen.actions = of(self.frames), of(self.actions)
        chosen.hand_position = of(self.hand_position)
        chosen.object_position = self.object_position and of(self.object_position)
        chosen.success = self.success and of(self.success)
        chosen.success_at, chosen.failed = self.success_at[rows], self.failed[rows]
        return chosen

    def must_fit(self, config: WhaleConfig, actions: ActionSpace | None = None) -> None:
        """Raise ValueError if the model takes another resolution, or actions of another space."""
        height, width = self.frames.flat.shape[1:3]
        resolution = config.tokenizer.resolution
        if (height, width) != (resolution, resolution):
            raise ValueError(
                f"the episodes of {self.folder} have {width} x {height} pixels, model "
                f"{config.name!r} takes {resolution} x {resolution}; record or convert them with "
                f"`--resolution {resolution}`"
            )
        if actions is not None and actions != self.action_space:
            raise ValueError(
                f"the actions of {self.folder} are {self.action_space.signature}, "
                f"those of the checkpoint {actions.signature}; bags may be converted again to "
                "another folder, with `--robot FILE` that has the checkpoint's action_step_s, "
                "action_max_translation_m and action_max_rotation_rad"
            )

    def must_last(self, frames: int, purpose: str) -> None:
        """Raise ValueError that names the episodes of fewer frames than the purpose needs."""
        short = [
            f"{info.file} ({count})"
            for info, count in zip(self.infos, self.frames.lengths.tolist(), strict=True)
            if count < frames
        ]
        if short:
            some = ", ".join(short[:5]) + (f" and {len(short) - 5} more" if short[5:] else "")
            raise ValueError(
                f"{purpose} needs episodes of at least {frames} frames "
                f"({(frames - 1) * self.action_space.step_s:g} s); too short in {self.folder}: "
                f"{some}; record longer ones or leave these out"
            )

    def __len__(self) -> int:
        return len(self.infos)

    def frame_pairs(
        self, batch: int, max_gap: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Random frames and earlier frames of the same episodes, each (B, 3, R, R) in [0, 1]."""
        episode, frame = self.frames.pieces(1, batch, generator)
        gap = torch.randint(max_gap + 1, (batch,), generator=generator)
        reference = (frame - gap).clamp(min=0)
        return to_float(self.frames[episode, frame]), to_float(self.frames[episode, reference])

    def windows(
        self, codes: Sequences, batch: int, length: int, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Random sequences: codes (B, length, N, C) long and actions (B, length-1, 7)."""
        episode, start = codes.pieces(length, batch, generator)
        time = start[:, None] + torch.arange(length)
        return codes[episode[:, None], time].long(), self.actions[episode[:, None], time[:, :-1]]


def _first(success: np.ndarray | None) -> int:
    return -1 if success is None or not success.any() else int(success.argmax())


def _known_by(folder: Path, info: EpisodeInfo, bags: dict[str, str]) -> set[str]:
    """bags: by file."""
    own = sha256((folder / info.file).read_bytes()).hexdigest()
    return {own, bags[info.file]} if info.file in bags else {own}
