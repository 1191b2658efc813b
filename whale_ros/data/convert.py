"""Convert bags to a dataset: `whale convert`.

    DATASET/
      manifest.json               of all episodes, also those that did not come from bags
      demonstrations/000003.npz   an episode; 000003_1.npz is what came after a gap in the same bag
      pictures/000003.png         its frames and actions, to look at
      conversion.json             of each bag: what it is, what was cut and why, statistics

A bag is known by the hash of its files: once converted, it is kept as it is. If it would be
converted in another way now, that is refused.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from whale_ros.actions.statistics import statistics
from whale_ros.data.bags import BadBag, Bag, find_bags
from whale_ros.data.contact_sheet import draw_episode
from whale_ros.data.conventions import Conventions, of_recording, of_robot
from whale_ros.data.conversion_log import ConversionLog
from whale_ros.data.episodes import Episode, add_to_manifest, must_take, save_episode
from whale_ros.data.reading import read_tracks
from whale_ros.data.recording import PARTIAL, RECORDING, Recording, read_recording
from whale_ros.data.synchronize import Stretch, synchronize
from whale_ros.data.tracks import Cut, Track, Tracks

SHOWN = 5  # kinds of reasons


@dataclass(frozen=True)
class Wish:
    """What the user asked for; None where the recording tells.

    robot: a name in config/robots, or a file. success: of bags that nobody labelled.
    """

    resolution: int
    robot: str | None = None
    action_source: str | None = None
    task: str | None = None
    success: bool | None = None


def convert(
    bags: Sequence[Path], dataset: Path, wish: Wish, tell: Callable[[str], None] = print
) -> None:
    """Add the demonstrations in bags, or in folders of bags; `tell` is given a line for each bag.

    Raises ValueError if some gave nothing, after all others were added. Nothing is ever lost.
    """
    found = [bag for path in bags for bag in find_bags(path)]
    log = ConversionLog(dataset)
    failed = 0
    try:
        for path in tqdm(found, "converting", unit="bag"):
            try:
                tell(f"{path.name}: {_add(path, dataset, wish, log)}")
            except ValueError as error:
                failed += 1
                tell(f"{path.name}: nothing was taken; {error}")
    finally:  # whatever is in the log: a run before this one may have been killed
        if log.bags:
            add_to_manifest(dataset, log.space, log.infos())
    if failed:
        raise ValueError(f"{failed} of {len(found)} bags gave nothing, see above")


def _add(path: Path, dataset: Path, wish: Wish, log: ConversionLog) -> str:
    """Convert one bag, unless that was done, and say what came of it. Raises ValueError."""
    bag = Bag(path)
    sha256 = _hash(bag)
    recording = _recording(path)
    conventions = _conventions(recording, wish)
    kind = {
        "action_space": conventions.space.to_dict(),
        "action_source": conventions.action_source,
        "resolution": wish.resolution,
    }
    log.must_be_of(kind)
    must_take(dataset, conventions.space)
    task = wish.task or (recording.task if recording else "")
    if not task:
        raise BadBag("nobody wrote down which task it shows: name it with --task")
    success = recording.success if recording else None
    success = wish.success if success is None else success
    settings = {
        "task": task,
        "success": success,
        "topics": dict(conventions.topics),
        "base_frame": conventions.base_frame,
        "command_timeout_s": conventions.command_timeout_s,
        "gripper_open": conventions.gripper_open,
        "gripper_closed": conventions.gripper_closed,
    }
    if known := log.entry_of(sha256):
        for key, value in settings.items():
            if known.get(key, value) != value:
                raise BadBag(
                    f"it is demonstration {known['number']} already, but with {key} {known[key]}, "
                    f"this would be {value}; choose another folder"
                )
        return f"kept, it is demonstration {known['number']} already"

    tracks = read_tracks(bag, conventions, wish.resolution)
    stretches, cuts = synchronize(tracks, conventions)
    notes = _notes(bag, tracks, cuts)
    if not stretches:
        raise BadBag(notes or "it is empty")
    number = log.next_number()
    episodes = []
    for part, stretch in enumerate(stretches):
        name = f"{number:06d}_{part}" if part else f"{number:06d}"
        episode = _episode(stretch, success, bag.damage)
        save_episode(dataset / "demonstrations" / f"{name}.npz", episode)
        title = f"{name}: {task}, {path.name}"
        draw_episode(dataset / "pictures" / f"{name}.png", episode, title, conventions.space)
        episodes.append(_numbers(f"demonstrations/{name}.npz", stretch))
    entry = {
        "number": number,
        "bag": path.name,
        "sha256": sha256,
        **settings,
        "camera": tracks.camera_is,
        "messages": {role: _rates(track) for role, track in tracks.by_role().items() if len(track)},
        "damage": bag.damage,
        "left_out": tracks.dropped,
        "cuts": [asdict(cut) for cut in cuts],
        "episodes": episodes,
    }
    log.add(kind, entry)
    frames = " + ".join(str(len(stretch.frames)) for stretch in stretches)
    return f"demonstration {number}, {frames} frames" + (f"; {notes}" if notes else "")


def _episode(stretch: Stretch, success: bool | None, damage: str) -> Episode:
    """The operator judged the end: of a part without it nobody knows the outcome."""
    done = None
    if success is not None and stretch.is_last and not damage:
        done = np.zeros(len(stretch.frames), bool)
        done[-1] = success
    return Episode(
        frames=stretch.frames,
        actions=stretch.actions.astype(np.float32),
        hand_position=stretch.pose[:, :3].astype(np.float32),
        success=done,
    )


def _recording(path: Path) -> Recording | None:
    if path.suffix == PARTIAL:
        raise BadBag(f"nobody kept it; if it shows a demonstration, name it {path.stem}")
    return read_recording(path) if (path / RECORDING).exists() else None


def _conventions(recording: Recording | None, wish: Wish) -> Conventions:
    if wish.robot:
        return of_robot(wish.robot, wish.action_source)
    if recording is None:
        raise BadBag(f"it holds no {RECORDING}, so name the robot: --robot NAME or a YAML file")
    return of_recording(recording, wish.action_source)


def _hash(bag: Bag) -> str:
    sha256 = hashlib.sha256()
    for path in bag.files:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                sha256.update(block)
    return sha256.hexdigest()


def _numbers(file: str, stretch: Stretch) -> dict[str, Any]:
    seconds = np.diff(stretch.moment_s)
    return {
        "file": file,
        "frames": len(stretch.frames),
        "begin_s": round(float(stretch.moment_s[0]), 3),
        "end_s": round(float(stretch.moment_s[-1]), 3),
        "shortest_step_s": round(float(seconds.min()), 4),
        "longest_step_s": round(float(seconds.max()), 4),
        "disagreement": None if np.isnan(stretch.disagreement) else round(stretch.disagreement, 3),
        "lasts_until_the_end": stretch.is_last,
        "actions": statistics(stretch.actions),
    }


def _rates(track: Track) -> dict[str, Any]:
    numbers: dict[str, Any] = {"messages": len(track)}
    if np.isnan(track.stamp_s).any():
        return numbers
    steps = np.diff(np.unique(track.stamp_s))
    if len(steps):
        numbers["rate_hz"] = round(float(1 / np.median(steps)), 2)
        numbers["longest_gap_s"] = round(float(steps.max()), 3)
    return numbers | {"latency_s": round(track.latency_s, 3)}


def _notes(bag: Bag, tracks: Tracks, cuts: list[Cut]) -> str:
    """What was cut or left out and why, in short: of reasons of one kind an example."""
    kinds: dict[str, list[Cut]] = {}
    for cut in cuts:
        kinds.setdefault(re.sub(r"[-+.\d]+", "#", cut.reason), []).append(cut)
    notes = [f"{bag.damage}; what came before counts"] if bag.damage else []
    for alike in kinds.values():
        longest = max(alike, key=lambda cut: cut.end_s - cut.begin_s)
        often = f"{len(alike)} times, such as: " if len(alike) > 1 else ""
        notes.append(f"{often}{longest.reason} ({longest.begin_s:.1f} .. {longest.end_s:.1f} s)")
    notes += [f"{count} messages left out of {why}" for why, count in tracks.dropped.items()]
    if len(notes) > SHOWN:
        notes[SHOWN:] = [f"and {len(notes) - SHOWN} more"]
    return "; ".join(notes)
