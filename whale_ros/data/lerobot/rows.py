"""The rows and pictures of one episode after another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from whale_ros.data.lerobot.files import ADVICE, Stored, read_table, vectors
from whale_ros.data.lerobot.video import read_picture, read_video

TIMING = 0.25  # of a frame; what is further off is another one


class Rows:
    """Of a dataset; keeps the last file, as many episodes are in one."""

    def __init__(self, fps: float, widths: dict[str, int], camera: str) -> None:
        """widths: of the columns to read."""
        self._fps, self._camera = fps, camera
        self._widths = {**dict.fromkeys(("timestamp", "frame_index", "episode_index"), 1), **widths}
        self._path: Path | None = None
        self._table: pa.Table
        self._columns: dict[str, np.ndarray]

    def read(self, episode: Stored) -> dict[str, np.ndarray]:
        """(length, width) float64 by column. Raises ValueError naming the file if they lie."""
        begin, end = self._place(episode)
        rows = {name: column[begin:end] for name, column in self._columns.items()}
        expected = np.arange(end - begin)
        if not (
            episode.length == end - begin > 0
            and (rows["episode_index"][:, 0] == episode.number).all()
            and (rows["frame_index"][:, 0] == expected).all()
        ):
            raise ValueError(
                f"{episode.rows} holds {end - begin} rows of episode {episode.number}, and not in "
                f"their order the {episode.length} that meta/episodes tells of; {ADVICE}"
            )
        late = np.abs(rows["timestamp"][:, 0] - expected / self._fps)
        if late.max() > TIMING / self._fps:
            raise ValueError(
                f"{episode.rows}: row {late.argmax()} of episode {episode.number} is "
                f"{late.max():.3f} s off the {self._fps:g} rows a second of meta/info.json"
            )
        return rows

    def pictures(self, episode: Stored, kept: np.ndarray, resolution: int) -> np.ndarray:
        """Of rows, by rising number; (N, resolution, resolution, 3) uint8 RGB, or as they are if 0.

        Raises ValueError naming the file that is broken or lacks one.
        """
        if episode.video is not None:
            times = episode.video_begin_s + kept / self._fps
            return read_video(episode.video, times, TIMING / self._fps, resolution)
        begin, _ = self._place(episode)
        column = self._table[self._camera]
        try:
            contents = [column[begin + int(row)].as_py()["bytes"] for row in kept]
            return np.stack([read_picture(content, resolution) for content in contents])
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(
                f"{episode.rows}, episode {episode.number}: {error}; {ADVICE}"
            ) from error

    def _place(self, episode: Stored) -> tuple[int, int]:
        """First row of an episode in its file, and the one after the last."""
        if episode.rows != self._path:
            wanted = [*self._widths, *([self._camera] if episode.video is None else [])]
            self._table = read_table(episode.rows, wanted)
            self._columns = vectors(episode.rows, self._table, self._widths)
            self._path = episode.rows
        numbers = self._columns["episode_index"][:, 0]
        begin, end = np.searchsorted(numbers, [episode.number, episode.number + 1])
        return int(begin), int(end)
