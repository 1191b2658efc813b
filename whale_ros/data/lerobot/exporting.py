"""Episodes of ours as a LeRobot dataset."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from whale_ros.actions.space import DIM, GRIPPER
from whale_ros.data.episodes import Episode, EpisodeInfo, load_episode, read_manifest
from whale_ros.data.lerobot import statistics, video
from whale_ros.data.lerobot.files import (
    DATA_PATH,
    EPISODES_PATH,
    FILES_PER_CHUNK,
    INFO,
    STATS,
    TASKS,
    VERSION,
    VIDEO_PATH,
    file_number,
)

OURS = "meta/whale_ros.json"  # what LeRobot has no place for: action space, behavior, seed
CAMERA, STATE, ACTION = "observation.images.camera", "observation.state", "action"
# Not called observations: those are what the policies are given that LeRobot trains.
KNOWN = {"object_position": 3, "progress": 1, "success": 1}
OF_SOME = "of_some"  # in OURS, of each episode: what is not known of all, and so is no column
NAMES = {
    STATE: ["x", "y", "z"],
    ACTION: ["dx", "dy", "dz", "rx", "ry", "rz", "gripper"],
    "object_position": ["x", "y", "z"],
}
FILE = file_number(0)  # one is enough for the numbers

Columns = dict[str, np.ndarray]  # (rows, width) by name


def export_dataset(data: Path, out: Path) -> int:
    """Write a folder of episodes as a LeRobotDataset v3.0; returns how many there are.

    An episode of T actions becomes T + 1 rows; in the last one, after which nothing was seen, the
    hand stands still. The order is that of the manifest, split after split.
    Raises ValueError if `out` exists, or the episodes lack what LeRobot requires: a whole number
    of frames per second, and pictures of one size.
    """
    space, infos = read_manifest(data)
    fps = round(1 / space.step_s)
    if fps < 1 or abs(fps * space.step_s - 1) > 1e-6:
        raise ValueError(
            f"{data} has steps of {space.step_s:g} s; LeRobot knows only 1/n of a second"
        )
    if out.exists():
        raise ValueError(f"{out} exists; name a folder that does not")
    splits = list(dict.fromkeys(info.split for info in infos))
    infos = sorted(infos, key=lambda info: splits.index(info.split))
    known = [load_episode(data / info.file).arrays().keys() & KNOWN.keys() for info in infos]
    of_all = set.intersection(*map(set, known)) if known else set()
    abouts = [{k: v for k, v in asdict(info).items() if k != "file"} for info in infos]
    for info, about, names in zip(infos, abouts, known, strict=True):
        if more := names - of_all:
            episode = load_episode(data / info.file)
            about[OF_SOME] = {name: getattr(episode, name).tolist() for name in sorted(more)}
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as temporary:
        folder = Path(temporary) / "dataset"
        _write_json(folder / OURS, {"action_space": space.to_dict(), "episodes": abouts})
        _write(folder, data, infos, fps, of_all)
        folder.replace(out)
    return len(infos)


def _write(folder: Path, data: Path, infos: list[EpisodeInfo], fps: int, of_all: set[str]) -> None:
    tasks = list(dict.fromkeys(info.task for info in infos))
    every: list[Columns] = []
    entries: list[dict[str, Any]] = []
    features: dict[str, dict] = {}
    levels, total = np.zeros((3, 256), int), 0
    videos = video.Videos(folder, CAMERA, fps)
    for number, info in enumerate(tqdm(infos, "exporting", disable=None)):
        episode = load_episode(data / info.file)
        length = len(episode.frames)
        columns = _columns(episode, of_all) | _indices(
            length, number, total, tasks.index(info.task), fps
        )
        own_features, own_levels = (
            _features(columns, episode.frames, fps),
            statistics.levels(episode.frames),
        )
        if own_features != (features := features or own_features):
            raise ValueError(
                f"{data / info.file} differs from {data / infos[0].file} in the size of its "
                "pictures; of LeRobot datasets all episodes are alike"
            )
        entry = {
            "episode_index": number,
            "tasks": [info.task],
            "length": length,
            "dataset_from_index": total,
            "dataset_to_index": total + length,
            **{f"data/{name}": value for name, value in FILE.items()},
            **{f"meta/episodes/{name}": value for name, value in FILE.items()},
            **videos.write(episode.frames),
        }
        for feature, named in _statistics(columns, own_levels, length).items():
            entry |= {f"stats/{feature}/{name}": values for name, values in named.items()}
        entries.append(entry)
        every.append(columns)
        levels, total = levels + own_levels, total + length
    videos.close()
    together = {name: np.concatenate([columns[name] for columns in every]) for name in every[0]}
    data_table = pa.table({name: _arrow(values) for name, values in together.items()})
    _write_table(folder / DATA_PATH.format(**FILE), data_table)
    _write_table(folder / EPISODES_PATH.format(**FILE), pa.Table.from_pylist(entries))
    _write_table(folder / TASKS, _task_table(tasks))
    _write_json(folder / STATS, _statistics(together, levels, total))
    info = {
        "codebase_version": VERSION,
        "robot_type": None,
        "total_episodes": len(infos),
        "total_frames": total,
        "total_tasks": len(tasks),
        "chunks_size": FILES_PER_CHUNK,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": fps,
        "splits": _splits(infos),
        "data_path": DATA_PATH,
        "video_path": VIDEO_PATH,
        "features": features,
    }
    _write_json(folder / INFO, info)


def _columns(episode: Episode, known: set[str]) -> Columns:
    still = np.zeros((1, DIM), np.float32)
    still[0, GRIPPER] = episode.actions[-1, GRIPPER]
    columns = {
        STATE: episode.hand_position.astype(np.float32),
        ACTION: np.concatenate([episode.actions.astype(np.float32), still]),
    }
    for name, width in KNOWN.items():
        if name in known:
            columns[name] = getattr(episode, name).reshape(-1, width)
    return columns


def _indices(length: int, number: int, begin: int, task: int, fps: int) -> Columns:
    """The columns that every LeRobot dataset has."""
    rows = np.arange(length)[:, None]
    return {
        "timestamp": (rows / fps).astype(np.float32),
        "frame_index": rows,
        "episode_index": np.full_like(rows, number),
        "index": begin + rows,
        "task_index": np.full_like(rows, task),
    }


def _features(columns: Columns, frames: np.ndarray, fps: int) -> dict[str, dict]:
    height, width = frames.shape[1:3]
    camera = {
        "dtype": "video",
        "shape": [height, width, 3],
        "names": ["height", "width", "channels"],
        "info": video.about(height, width, fps),
    }
    numbers = {
        name: {"dtype": str(values.dtype), "shape": [values.shape[1]], "names": NAMES.get(name)}
        for name, values in columns.items()
    }
    return {CAMERA: camera, **numbers}


def _statistics(columns: Columns, levels: np.ndarray, count: int) -> dict[str, dict[str, list]]:
    numbers = {name: statistics.of_vectors(values) for name, values in columns.items()}
    return {CAMERA: statistics.of_pictures(levels, count), **numbers}


def _splits(infos: list[EpisodeInfo]) -> dict[str, str]:
    """From which episode up to before which each split goes."""
    splits = [info.split for info in infos]
    return {s: f"{splits.index(s)}:{splits.index(s) + splits.count(s)}" for s in splits}


def _arrow(values: np.ndarray) -> pa.Array:
    flat = pa.array(values.ravel())
    return (
        flat if values.shape[1] == 1 else pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
    )


def _task_table(tasks: list[str]) -> pa.Table:
    """LeRobot looks tasks up in the index of a pandas table; this is how pandas stores one."""
    index = "__index_level_0__"
    columns = [
        {"name": "task_index", "field_name": "task_index", "pandas_type": "int64",
         "numpy_type": "int64", "metadata": None},
        {"name": None, "field_name": index, "pandas_type": "unicode",
         "numpy_type": "object", "metadata": None},
    ]  # fmt: skip
    described = {"index_columns": [index], "column_indexes": [], "columns": columns}
    table = pa.table({"task_index": list(range(len(tasks))), index: tasks})
    return table.replace_schema_metadata({"pandas": json.dumps(described)})


def _write_table(path: Path, table: pa.Table) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)


def _write_json(path: Path, content: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=4, allow_nan=False) + "\n")
