"""Episodes on disk: one .npz per episode, and a manifest that lists them all.

Frame t is what the camera saw when action t began, so an episode of T actions has T + 1 frames.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from whale_ros.actions.space import DIM, ActionSpace

MANIFEST = "manifest.json"


@dataclass
class Episode:
    """What a robot saw and did. T actions, T + 1 of everything else."""

    frames: np.ndarray  # (T+1, height, width, 3) uint8 RGB
    actions: np.ndarray  # (T, 7) float32, of the dataset's action space
    hand_position: np.ndarray  # (T+1, 3) float32, base frame [m]
    # None where nobody knows, as of most real scenes; never guessed
    object_position: np.ndarray | None = None  # (T+1, 3) float32, base frame [m]
    progress: np.ndarray | None = None  # (T+1,) float32, 0 .. 1
    success: np.ndarray | None = None  # (T+1,) bool, whether the task is done at that frame

    def check(self) -> None:
        """Raise ValueError that names the first thing that is wrong."""
        steps = len(self.actions)
        if self.actions.shape != (steps, DIM) or steps == 0:
            raise ValueError(f"actions have shape {self.actions.shape}, expected (T, {DIM}), T > 0")
        if self.frames.dtype != np.uint8 or self.frames.ndim != 4 or self.frames.shape[3] != 3:
            raise ValueError(
                f"frames are {self.frames.dtype} {self.frames.shape}, "
                "expected uint8 (T+1, height, width, 3)"
            )
        for name, value in self.arrays().items():
            if name != "actions" and len(value) != steps + 1:
                raise ValueError(f"{name} has length {len(value)}, expected {steps + 1}")
            if not np.isfinite(value).all():
                raise ValueError(f"{name} holds a number that is not finite")

    def arrays(self) -> dict[str, np.ndarray]:
        """What is known, by name."""
        return {name: value for name, value in self.__dict__.items() if value is not None}


@dataclass(frozen=True)
class EpisodeInfo:
    """How an episode came about."""

    file: str
    split: str  # "train", "validation" (other seeds), or what else is held out
    task: str
    behavior: str
    seed: int  # of the scene; of a demonstration its number

    @property
    def recording(self) -> str:
        """The same for all parts of a demonstration that was cut, see `convert`."""
        return re.sub(r"(\d{6})_\d+$", r"\1", self.file.removesuffix(".npz"))


def save_episode(path: Path, episode: Episode) -> None:
    """Write atomically: a reader never sees half an episode."""
    episode.check()
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez_compressed(file, **episode.arrays())  # type: ignore[arg-type]
    partial.replace(path)


def load_episode(path: Path) -> Episode:
    """Raises ValueError naming the file if it is truncated or not an episode."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            episode = Episode(**{name: arrays[name] for name in arrays.files})
        episode.check()
    except Exception as error:  # of broken bytes zipfile, zlib and numpy complain in many ways
        raise ValueError(f"{path} is not a whole episode: {error}") from error
    return episode


def write_manifest(folder: Path, space: ActionSpace, episodes: list[EpisodeInfo]) -> None:
    """Of episodes that are in the folder; tells what is in their files too."""
    files = hashlib.sha256()
    for info in episodes:
        files.update((folder / info.file).read_bytes())
    content = {
        "action_space": space.to_dict(),
        "files_sha256": files.hexdigest(),
        "episodes": [asdict(e) for e in episodes],
    }
    partial = folder / (MANIFEST + ".partial")
    partial.write_text(json.dumps(content, indent=1) + "\n")
    partial.replace(folder / MANIFEST)


def add_to_manifest(folder: Path, space: ActionSpace, episodes: list[EpisodeInfo]) -> None:
    """Of episodes that are in the folder, beside what its manifest lists already, if there is one.

    Raises ValueError if those are of another action space.
    """
    must_take(folder, space)
    listed = read_manifest(folder)[1] if (folder / MANIFEST).exists() else []
    write_manifest(folder, space, list({e.file: e for e in [*listed, *episodes]}.values()))


def must_take(folder: Path, space: ActionSpace) -> None:
    """Raises ValueError if there are episodes of another action space."""
    if (folder / MANIFEST).exists() and (there := read_manifest(folder)[0]) != space:
        raise ValueError(
            f"the episodes of {folder} have actions of the space {there.signature}, the new "
            f"ones {space.signature}; choose another folder"
        )


def read_manifest(folder: Path) -> tuple[ActionSpace, list[EpisodeInfo]]:
    """Raises ValueError naming the file if it is broken, saying how to make one if absent."""
    path = folder / MANIFEST
    if not path.exists():
        raise ValueError(
            f"{folder} holds no {MANIFEST}; make a dataset with `whale collect` or `whale convert`"
        )
    try:
        content = json.loads(path.read_text())
        episodes = [EpisodeInfo(**entry) for entry in content["episodes"]]
        for info in episodes:
            must_be_sound(info)
        return ActionSpace.from_dict(content["action_space"]), episodes
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"{path} is not a manifest of episodes: {error!r}") from error


def must_be_sound(info: EpisodeInfo) -> None:
    """Raises ValueError if it names no file in the folder, or something is of another type."""
    words = info.file, info.split, info.task, info.behavior
    if not all(type(word) is str for word in words) or type(info.seed) is not int:
        raise ValueError(f"an episode needs four texts and a whole number, not {info}")
    path = Path(info.file)
    if not path.name or path.is_absolute() or ".." in path.parts or "\0" in info.file:
        raise ValueError(f"an episode's file is in the manifest's folder, not {info.file!r}")


def manifest_hash(folder: Path) -> str:
    """SHA-256 of the manifest: names the data, down to each pixel, in a checkpoint's card."""
    return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
