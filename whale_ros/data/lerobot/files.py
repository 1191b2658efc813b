"""The tables of a LeRobotDataset v3.0, read with distrust.

    meta/info.json                              frame rate, features (columns) and their shapes
    meta/stats.json                             statistics of each feature, for policies
    meta/tasks.parquet                          task by number
    meta/episodes/chunk-000/file-000.parquet    of each episode: length, task, where its rows are
    data/chunk-000/file-000.parquet             a row for each frame, of many episodes
    videos/CAMERA/chunk-000/file-000.mp4        its pictures, of many episodes one after another

Row t holds what was seen and the action that was decided on then, at t / fps seconds.
Source: huggingface/lerobot 0.4.4, src/lerobot/datasets; 0.6.1 has the same format.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

VERSION = "v3.0"
INFO, STATS, TASKS = "meta/info.json", "meta/stats.json", "meta/tasks.parquet"
EPISODES_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
FILES_PER_CHUNK = 1000
MAX_ROWS = 10_000_000  # of a file; more than a day at 100 Hz
MAX_BYTES = 4 << 30  # of a file, unpacked
MAX_WIDTH = 1000  # numbers of a feature in a row
LISTS = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
ADVICE = "copy or download the dataset again, with its folders meta, data and videos"


@dataclass(frozen=True)
class Info:
    """meta/info.json."""

    fps: float
    features: dict[str, dict]
    episodes: int

    def width(self, column: str) -> int:
        """Numbers in a row of a column. Raises ValueError, with those that there are, if none."""
        feature = self.features.get(column, {})
        match feature.get("shape"), feature.get("dtype"):
            case [int(width)], str(dtype) if 0 < width <= MAX_WIDTH and dtype != "string":
                return width
        known = [f"{name} {self.names(name) or value.get('shape')}"
                 for name, value in self.features.items()]  # fmt: skip
        raise ValueError(f"it has no column {column!r} of numbers; it has: {'; '.join(known)}")

    def names(self, column: str) -> list[str]:
        """What the numbers of a column are called; empty if the dataset does not say."""
        names = self.features[column].get("names") or []
        if isinstance(names, dict):  # as in {"motors": [...]}
            names = [name for group in names.values() if isinstance(group, list) for name in group]
        return [str(name) for name in names] if isinstance(names, list) else []


@dataclass(frozen=True)
class Stored:
    """Where an episode is."""

    number: int
    task: str
    length: int  # rows
    rows: Path
    video: Path | None = None  # None where pictures are among the rows
    video_begin_s: float = 0.0


def read_info(folder: Path) -> Info:
    """Raises ValueError naming the file if it is absent, of another version or no such thing."""
    path = folder / INFO
    if not path.is_file():
        raise ValueError(f"{path} is missing: {folder} is no LeRobot dataset; name its folder")
    try:
        content = json.loads(path.read_text())
        version = content["codebase_version"]
        if version != VERSION:
            raise ValueError(
                f"its version is {version}, not {VERSION}; LeRobot converts older ones "
                "(convert_dataset_v21_to_v30, see docs/lerobot.md)"
            )
        info = Info(float(content["fps"]), content["features"], int(content["total_episodes"]))
        if not (math.isfinite(info.fps) and 0 < info.fps <= 1000):
            raise ValueError(f"it tells of {info.fps} frames a second")
        if not all(isinstance(feature, dict) for feature in info.features.values()):
            raise ValueError("a feature is no mapping")
        if content["data_path"] != DATA_PATH or content.get("video_path") not in (VIDEO_PATH, None):
            raise ValueError("its data_path or video_path is not that of the format")
    except (
        ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError,
    ) as error:  # fmt: skip
        raise ValueError(f"{path} does not describe a LeRobot dataset {VERSION}: {error}") from None
    return info


def read_episodes(folder: Path, info: Info, camera: str) -> list[Stored]:
    """Where the episodes are, with the pictures of a camera (a feature of dtype video or image).

    Raises ValueError naming the file that is absent, broken or contradicts meta/info.json.
    """
    dtype = info.features.get(camera, {}).get("dtype")
    if dtype not in ("video", "image") or "/" in camera:
        cameras = [n for n, f in info.features.items() if f.get("dtype") in ("video", "image")]
        raise ValueError(f"{folder} has no camera {camera!r}; its cameras: {', '.join(cameras)}")
    integers = ["episode_index", "length", "data/chunk_index", "data/file_index"]
    begin = f"videos/{camera}/from_timestamp"
    if dtype == "video":
        integers += [f"videos/{camera}/chunk_index", f"videos/{camera}/file_index"]
    episodes: list[Stored] = []
    for path in sorted((folder / "meta" / "episodes").glob("*/*.parquet")):
        numeric = [*integers, *([begin] if dtype == "video" else [])]
        table = read_table(path, [*numeric, "tasks"])
        numbers = vectors(path, table, dict.fromkeys(numeric, 1))
        columns = [numbers[name][:, 0].astype(int).tolist() for name in integers]
        for i, (number, length, chunk, file, *video) in enumerate(zip(*columns, strict=True)):
            rows = folder / DATA_PATH.format(chunk_index=chunk, file_index=file)
            task = "; ".join(str(part) for part in table["tasks"][i].as_py())
            stored = Stored(number, task, length, rows)
            if video:
                place = VIDEO_PATH.format(
                    video_key=camera, chunk_index=video[0], file_index=video[1]
                )
                begin_s = float(table[begin][i].as_py())
                stored = replace(stored, video=folder / place, video_begin_s=begin_s)
            episodes.append(stored)
    if len(episodes) != info.episodes or any(e.number != i for i, e in enumerate(episodes)):
        raise ValueError(
            f"{folder / 'meta' / 'episodes'} lists {len(episodes)} episodes, which are not the "
            f"{info.episodes} of {INFO} in their order; {ADVICE}"
        )
    return episodes


def file_number(number: int) -> dict[str, int]:
    """Of the n-th file of a kind."""
    chunk, file = divmod(number, FILES_PER_CHUNK)
    return {"chunk_index": chunk, "file_index": file}


def read_table(path: Path, columns: Collection[str]) -> pa.Table:
    """Raises ValueError naming the file that is absent, broken, too large or lacks a column."""
    if not path.is_file():
        raise ValueError(f"{path} is missing; {ADVICE}")
    try:
        with pq.ParquetFile(path) as file:
            if file.metadata.num_rows > MAX_ROWS:
                raise ValueError(f"it claims {file.metadata.num_rows} rows, over {MAX_ROWS}")
            if missing := set(columns) - set(file.schema_arrow.names):
                raise ValueError(f"it has no column {', '.join(sorted(missing))}")
            if (size := _size(file.metadata)) > MAX_BYTES:
                raise ValueError(f"it claims {size} bytes, over {MAX_BYTES}")
            return file.read(columns=list(columns))
    except Exception as error:  # pyarrow complains of broken bytes in many ways
        raise ValueError(f"{path} cannot be read: {error}; {ADVICE}") from error


def vectors(path: Path, table: pa.Table, widths: dict[str, int]) -> dict[str, np.ndarray]:
    """Columns of numbers as float64 arrays (rows, width), width as given by name.

    Raises ValueError naming file and column where there is none, another width, or NaN.
    """
    arrays = {}
    for name, width in widths.items():
        column = table[name].combine_chunks()
        try:
            lists = any(is_list(column.type) for is_list in LISTS)
            if lists and set(pc.unique(pc.list_value_length(column)).to_pylist()) - {width, None}:
                raise ValueError(f"not all of its rows have {width} numbers")
            numbers = (column.flatten() if lists else column).cast(pa.float64())
            if column.null_count or numbers.null_count:
                raise ValueError("a value is missing")
            arrays[name] = numbers.to_numpy(zero_copy_only=False).reshape(table.num_rows, width)
            if not np.isfinite(arrays[name]).all():
                row = np.argwhere(~np.isfinite(arrays[name]))[0][0]
                raise ValueError(f"row {row} holds a number that is not finite")
        except (ValueError, pa.ArrowException) as error:
            raise ValueError(f"{path}: column {name!r} is not as it should be: {error}") from None
    return arrays


def _size(metadata: pq.FileMetaData) -> int:
    """Not of single columns: of a broken one pyarrow 21 does not tell it, but ends the process."""
    return sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
