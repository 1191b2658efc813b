"""A LeRobot dataset as episodes of ours."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from whale_ros.actions.space import DIM, ActionSpace
from whale_ros.data.contact_sheet import draw_episode
from whale_ros.data.conversion_log import BEHAVIOR, HELD_OUT
from whale_ros.data.episodes import (
    Episode,
    EpisodeInfo,
    add_to_manifest,
    load_episode,
    must_be_sound,
    must_take,
    save_episode,
)
from whale_ros.data.lerobot.exporting import ACTION, CAMERA, KNOWN, OF_SOME, OURS, STATE
from whale_ros.data.lerobot.files import INFO, Info, Stored, read_episodes, read_info
from whale_ros.data.lerobot.mapping import Mapping
from whale_ros.data.lerobot.pieces import pieces, space_of, steps_between
from whale_ros.data.lerobot.rows import Rows

PICTURED = 100  # episodes of a dataset: a picture of each takes longer than the episode itself

Found = Iterator[tuple[str, Episode, dict[str, Any]]]  # number, episode, EpisodeInfo but for file


@dataclass
class Report:
    """What became of a dataset."""

    space: ActionSpace
    episodes: list[EpisodeInfo] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)  # which, and why, in words


def import_dataset(
    dataset: Path, out: Path, mapping: Mapping | None, space: ActionSpace, resolution: int
) -> Report:
    """Add a LeRobot dataset to a folder of episodes.

    mapping: what its columns mean. With one, rows that are `space.step_s` apart are kept, the
    central squares of their pictures at `resolution` pixels a side, and the actions from each to
    the next composed into one. An episode is cut where an action is beyond `space`, and left out
    where too little remains or its actions are not what the hand did. The first PICTURED are drawn
    to `out/pictures`. Without a mapping the dataset must be an export of ours, and comes back as it
    was, whatever `space` and `resolution` are.

    Raises ValueError naming the file that is absent, broken, contradicts another or does not fit.
    """
    info = read_info(dataset)
    if mapping is None:
        report = Report(_ours(dataset)[0])
        found = _read_ours(dataset, info)
    else:
        report = Report(space_of(mapping, space))
        found = _read_theirs(dataset, info, mapping, resolution, report)
    must_take(out, report.space)  # before hours of work
    name = dataset.resolve().name
    for number, episode, about in found:
        file = f"{about['split']}/{name}_{number}.npz"
        _must_not_replace(out / file, episode)
        save_episode(out / file, episode)
        report.episodes.append(EpisodeInfo(file=file, **about))
        if mapping is not None and len(report.episodes) <= PICTURED:
            picture = out / "pictures" / f"{name}_{number}.png"
            draw_episode(picture, episode, f"{name} {number}: {about['task']}", report.space)
    if not report.episodes:
        reasons = "; ".join(report.left_out[:3]) or "it has none"
        raise ValueError(f"{dataset} holds no episode that is of use: {reasons}")
    add_to_manifest(out, report.space, report.episodes)
    return report


def _must_not_replace(path: Path, episode: Episode) -> None:
    """Raises ValueError if another episode has the name: of two datasets whose folders do."""
    if not path.exists():
        return
    there, new = load_episode(path).arrays(), episode.arrays()
    if there.keys() != new.keys() or not all(np.array_equal(there[k], new[k]) for k in new):
        raise ValueError(
            f"{path} is another episode already, of another dataset of the same name or of another "
            "mapping; rename the dataset's folder, or choose another folder for the episodes"
        )


def _read_theirs(
    dataset: Path, info: Info, mapping: Mapping, resolution: int, report: Report
) -> Found:
    try:
        mapping.must_fit(info)
        steps_between(info.fps, report.space.step_s)
    except ValueError as error:
        raise ValueError(f"{dataset / INFO} does not fit: {error}") from None
    widths = {column: info.width(column) for column in mapping.columns}
    rows_of = Rows(info.fps, widths, mapping.camera)
    for stored in tqdm(read_episodes(dataset, info, mapping.camera), "importing", disable=None):
        rows = rows_of.read(stored)
        try:
            found, left_out = pieces(mapping, rows, info, report.space)
        except ValueError as error:
            raise ValueError(f"{stored.rows}, episode {stored.number}: {error}") from None
        report.left_out += [f"episode {stored.number}: {why}" for why in left_out]
        for i, piece in enumerate(found):
            episode = Episode(
                frames=rows_of.pictures(stored, piece.rows, resolution),
                actions=piece.actions,
                hand_position=piece.hand_position,
                success=piece.success,
            )
            held_out = stored.number % HELD_OUT == 1  # as of demonstrations from bags
            yield (
                f"{stored.number:06d}_{i}",
                episode,
                {
                    "split": "validation" if held_out else "train",
                    "task": stored.task,
                    "behavior": BEHAVIOR,
                    "seed": stored.number,
                },
            )


def _read_ours(dataset: Path, info: Info) -> Found:
    _, abouts = _ours(dataset)
    stored = read_episodes(dataset, info, CAMERA)
    if [about["task"] for about in abouts] != [episode.task for episode in stored]:
        raise ValueError(
            f"{dataset} was changed since its export, {OURS} tells of other episodes; say what "
            "its columns mean (`--mapping whale_ros`), as of any other LeRobot dataset"
        )
    known = {name: width for name, width in KNOWN.items() if name in info.features}
    rows_of = Rows(info.fps, {ACTION: DIM, STATE: 3, **known}, CAMERA)
    for episode, about in zip(tqdm(stored, "importing", disable=None), abouts, strict=True):
        rows = {name: column.astype(np.float32) for name, column in rows_of.read(episode).items()}
        more = about.pop(OF_SOME, {})
        rows |= {name: _column(values, KNOWN[name], episode) for name, values in more.items()}
        result = Episode(
            frames=rows_of.pictures(episode, np.arange(episode.length), resolution=0),
            actions=rows[ACTION][:-1],
            hand_position=rows[STATE],
            object_position=rows.get("object_position"),
            progress=rows["progress"][:, 0] if "progress" in rows else None,
            success=rows["success"][:, 0] > 0.5 if "success" in rows else None,
        )
        yield f"{episode.number:06d}", result, about


def _column(values: Any, width: int, episode: Stored) -> np.ndarray:
    """(rows, width) float32 of what OURS tells of an episode. Raises ValueError."""
    try:
        column = np.asarray(values, np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{OURS} tells of an episode what is no number: {error}") from None
    if column.size != episode.length * width:
        raise ValueError(f"{OURS} tells of {column.size} numbers in {episode.length} rows")
    return column.reshape(-1, width)


def _ours(dataset: Path) -> tuple[ActionSpace, list[dict[str, Any]]]:
    """Raises ValueError if the dataset is no export of ours."""
    path = dataset / OURS
    if not path.is_file():
        raise ValueError(
            f"{dataset} was not exported from here, so say what its columns mean (`--mapping`, "
            "see docs/lerobot.md)"
        )
    try:
        content = json.loads(path.read_text())
        for about in content["episodes"]:
            words = {name: value for name, value in about.items() if name != OF_SOME}
            must_be_sound(EpisodeInfo(file="x", **words))
            if unknown := set(about.get(OF_SOME, {})) - KNOWN.keys():
                raise ValueError(f"nobody knows what {unknown} is")
            if not re.fullmatch(r"\w+", about["split"]):
                raise ValueError(f"a split is called {about['split']!r}")
        return ActionSpace.from_dict(content["action_space"]), content["episodes"]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} does not tell of episodes: {error}") from None
