"""Pictures in videos: of any codec that PyAV decodes, and lossless ones written.

A file is taken for what LeRobot would have written, a film or a picture: FFmpeg also knows lists of
other files, which it would open.

LeRobot's default (AV1, chroma at half the resolution) costs small pictures dearly, 31 dB at 64
pixels (`benchmarks/video_codecs.py`), and a tokenizer shall learn from more than it will return.
Written is H.264 in RGB at quality 0: it loses nothing, is 1.7 times smaller than PNG, and FFmpeg
decodes it, and so LeRobot; not every web browser does. Every second picture is a key frame, as
LeRobot has it, so that any one is quickly reached.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import cast

import av
import numpy as np

from whale_ros.data.frames import fit
from whale_ros.data.lerobot.files import ADVICE, VIDEO_PATH, file_number

CODEC, PIXELS, OPTIONS = "libx264rgb", "rgb24", {"crf": "0", "g": "2"}
MAX_PIXELS = 8192 * 8192
FILMS = {"format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2"}  # one of FFmpeg's, by all of its names
STILLS = {"format_whitelist": "png_pipe,jpeg_pipe"}
NO_GUESSES = {"err_detect": "explode"}  # of pictures whose bytes are broken
BROKEN = (av.FFmpegError, ValueError, TypeError, OverflowError, MemoryError, StopIteration)
# LeRobot looks for a picture in float32 and within 0.1 ms; from 1024 s on it may miss it.
MAX_VIDEO_S = 1000.0


class Videos:
    """Pictures of one episode after another, in as few files as LeRobot can read."""

    def __init__(self, folder: Path, camera: str, fps: int) -> None:
        self._folder, self._camera, self._fps = folder, camera, fps
        self._file, self._frames = -1, 0
        self._output: tuple[av.container.OutputContainer, av.VideoStream] | None = None

    def write(self, pictures: np.ndarray) -> dict[str, int | float]:
        """(N, height, width, 3) uint8 RGB, all of one size; where they are, for meta/episodes."""
        if self._output is None or self._frames + len(pictures) > MAX_VIDEO_S * self._fps:
            self.close()
            self._output = self._next(*pictures.shape[1:3])
        container, stream = self._output
        for picture in pictures:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format=PIXELS)
            container.mux(stream.encode(frame))
        begin, self._frames = self._frames, self._frames + len(pictures)
        found: dict[str, int | float] = {**file_number(self._file)}
        found["from_timestamp"] = begin / self._fps
        found["to_timestamp"] = self._frames / self._fps
        return {f"videos/{self._camera}/{name}": value for name, value in found.items()}

    def close(self) -> None:
        if self._output is not None:
            container, stream = self._output
            container.mux(stream.encode())
            container.close()

    def _next(self, height: int, width: int) -> tuple[av.container.OutputContainer, av.VideoStream]:
        self._file, self._frames = self._file + 1, 0
        path = self._folder / VIDEO_PATH.format(video_key=self._camera, **file_number(self._file))
        path.parent.mkdir(parents=True, exist_ok=True)
        container = av.open(str(path), "w")
        stream = cast(av.VideoStream, container.add_stream(CODEC, self._fps, options=OPTIONS))
        stream.pix_fmt, stream.height, stream.width = PIXELS, height, width
        return container, stream


def about(height: int, width: int, fps: int) -> dict[str, object]:
    """What meta/info.json tells of the videos that are written."""
    found = {
        "height": height,
        "width": width,
        "codec": "h264",
        "pix_fmt": "gbrp",
        "is_depth_map": False,
        "fps": fps,
        "channels": 3,
    }
    return {**{f"video.{name}": value for name, value in found.items()}, "has_audio": False}


def read_video(path: Path, times: np.ndarray, tolerance_s: float, resolution: int) -> np.ndarray:
    """Pictures at rising times [s], (N, resolution, resolution, 3) uint8 RGB; their central square.

    resolution: 0 keeps them as they are.
    Raises ValueError naming the file that is absent or broken, or holds no picture at a time.
    """
    if not path.is_file():
        raise ValueError(f"{path} is missing; {ADVICE}")
    pictures: list[np.ndarray] = []
    try:
        with av.open(str(path), "r", options=FILMS) as container:
            stream = _checked(container)
            container.seek(max(0, int((times[0] - tolerance_s) / stream.time_base)), stream=stream)
            for frame in container.decode(stream):
                if frame.time is None or frame.time < times[len(pictures)] - tolerance_s:
                    continue
                if frame.time > times[len(pictures)] + tolerance_s:
                    break
                pictures.append(_picture(frame, resolution))
                if len(pictures) == len(times):
                    break
        if len(pictures) < len(times):
            raise ValueError(f"it holds no picture at {times[len(pictures)]:.3f} s")
        return np.stack(pictures)
    except BROKEN as error:
        raise ValueError(f"{path} cannot be decoded: {error}; {ADVICE}") from error


def read_picture(content: bytes, resolution: int) -> np.ndarray:
    """A PNG or JPEG as (resolution, resolution, 3) uint8 RGB. Raises ValueError if it is none."""
    try:
        container = av.open(io.BytesIO(content), "r", options=STILLS)
        return _picture(next(container.decode(_checked(container))), resolution)
    except BROKEN as error:
        raise ValueError(f"a picture cannot be decoded: {error}") from error


def _checked(container: av.container.InputContainer) -> av.VideoStream:
    stream = next(iter(container.streams.video), None)
    if stream is None or stream.codec_context is None:
        raise ValueError("there is no video in it that can be decoded")
    if stream.height * stream.width > MAX_PIXELS:
        raise ValueError(f"it claims pictures of {stream.width} x {stream.height} pixels")
    stream.codec_context.options = {"max_pixels": str(MAX_PIXELS), **NO_GUESSES}
    return stream


def _picture(frame: av.VideoFrame, resolution: int) -> np.ndarray:
    picture = frame.to_ndarray(format="rgb24")
    return fit(picture, resolution) if resolution else picture
