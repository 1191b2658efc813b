"""Datasets in LeRobot's format of any content: imported, or refused by name."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import yaml

from fuzz.draw import FOLDER, ROOT, file_of
from fuzz.messages import compressed_images
from whale_ros.actions.space import ActionSpace
from whale_ros.data.episodes import Episode, EpisodeInfo, save_episode, write_manifest
from whale_ros.data.lerobot.exporting import ACTION, CAMERA, OURS, export_dataset
from whale_ros.data.lerobot.files import (
    DATA_PATH,
    EPISODES_PATH,
    INFO,
    VIDEO_PATH,
    Info,
    read_episodes,
    read_info,
)
from whale_ros.data.lerobot.importing import import_dataset
from whale_ros.data.lerobot.mapping import Mapping, load_mapping
from whale_ros.data.lerobot.rows import Rows
from whale_ros.data.lerobot.video import read_picture, read_video

FIRST = {"chunk_index": 0, "file_index": 0}
STEPS = 3
MAPPINGS = sorted((ROOT / "config/lerobot").glob("*.yaml"))


def lerobot_info(data: bytes) -> None:
    folder = FOLDER / "info"
    (folder / "meta").mkdir(parents=True, exist_ok=True)
    document = json.loads((_dataset() / INFO).read_text())
    (folder / INFO).write_bytes(file_of(data, document, json.dumps))
    try:
        info = read_info(folder)
    except ValueError:
        return
    assert 0 < info.fps <= 1000
    for mapping in MAPPINGS:
        _try(load_mapping(str(mapping)), info)


def lerobot_mapping(data: bytes) -> None:
    path = FOLDER / "mapping.yaml"
    path.write_bytes(file_of(data, yaml.safe_load(MAPPINGS[-1].read_text()), yaml.safe_dump))
    try:
        mapping = load_mapping(str(path))
    except ValueError:
        return
    _try(mapping, read_info(_dataset()))


def _try(mapping: Mapping, info: Info) -> None:
    try:
        mapping.must_fit(info)
    except ValueError:
        return
    assert all(info.width(column) > 0 for column in mapping.columns)


def lerobot_export(data: bytes) -> None:
    """What comes back of an export of ours whose own file was changed."""
    folder, out = _copy(), FOLDER / "imported"
    document = json.loads((_dataset() / OURS).read_text())
    (folder / OURS).write_bytes(file_of(data, document, json.dumps))
    shutil.rmtree(out, ignore_errors=True)
    try:
        report = import_dataset(folder, out, None, ActionSpace(), 0)
    except ValueError:
        return
    assert len(report.episodes) == 1
    made = [path.resolve() for path in FOLDER.rglob("*.npz") if path.name.startswith("copy_")]
    assert all(path.is_relative_to(out.resolve()) for path in made), "written elsewhere"


def lerobot_rows(data: bytes) -> None:
    """The file of rows."""
    _read_with(DATA_PATH.format(**FIRST), data)


def lerobot_episodes(data: bytes) -> None:
    """The file that tells where episodes are."""
    _read_with(EPISODES_PATH.format(**FIRST), data)


def _read_with(file: str, data: bytes) -> None:
    folder = _copy()
    before = (folder / file).read_bytes()
    (folder / file).write_bytes(data)
    try:
        info = read_info(folder)
        rows_of = Rows(info.fps, {ACTION: 7}, CAMERA)
        for stored in read_episodes(folder, info, CAMERA):
            rows = rows_of.read(stored)
            assert rows[ACTION].shape == (stored.length, 7) and np.isfinite(rows[ACTION]).all()
    except ValueError:
        return
    finally:
        (folder / file).write_bytes(before)


def lerobot_video(data: bytes) -> None:
    """Films, and pictures among the rows, of any bytes."""
    path = FOLDER / "film.mp4"
    path.write_bytes(data)
    times = np.arange(STEPS + 1) * ActionSpace().step_s
    with contextlib.suppress(ValueError):
        assert read_video(path, times, 0.01, 4).shape == (STEPS + 1, 4, 4, 3)
    with contextlib.suppress(ValueError):
        assert read_picture(data, 4).shape == (4, 4, 3)


# ---- where to begin


def films() -> list[bytes]:
    film = (_dataset() / VIDEO_PATH.format(video_key=CAMERA, **FIRST)).read_bytes()
    return [film, b"ffconcat version 1.0\nfile film.mp4\n", *compressed_images()]


def rows() -> list[bytes]:
    return _tables(DATA_PATH.format(**FIRST))


def tables_of_episodes() -> list[bytes]:
    return _tables(EPISODES_PATH.format(**FIRST))


def _tables(name: str) -> list[bytes]:
    """As written, and small ones: plain, without dictionaries, statistics or compression."""
    path = _dataset() / name
    files = [path.read_bytes()]
    for compression in ("none", "zstd"):
        file = io.BytesIO()
        pq.write_table(
            pq.read_table(path), file, compression=compression, use_dictionary=False,
            write_statistics=False, store_schema=False,
        )  # fmt: skip
        files.append(file.getvalue())
    return files


@cache
def _copy() -> Path:
    return Path(shutil.copytree(_dataset(), FOLDER / "copy", dirs_exist_ok=True))


@cache
def _dataset() -> Path:
    """An episode, exported."""
    rng = np.random.default_rng(0)
    episode = Episode(
        frames=rng.integers(0, 255, (STEPS + 1, 16, 16, 3)).astype(np.uint8),
        actions=rng.random((STEPS, 7), np.float32) * np.float32(0.01),
        hand_position=rng.random((STEPS + 1, 3), np.float32),
    )
    info = EpisodeInfo("train/0.npz", "train", "reach", "expert", 0)
    save_episode(FOLDER / "episodes" / info.file, episode)
    write_manifest(FOLDER / "episodes", ActionSpace(), [info])
    shutil.rmtree(FOLDER / "exported", ignore_errors=True)
    export_dataset(FOLDER / "episodes", FOLDER / "exported")
    return FOLDER / "exported"
