#!/usr/bin/env python3
"""What does a codec cost the pictures of a LeRobot dataset, and how small does it make them?

    source scripts/env.sh
    python benchmarks/video_codecs.py DATA            # a folder made by `whale collect`
    python benchmarks/video_codecs.py DATA --json

Encodes the validation episodes, each as a video of its own, as LeRobot does by default (AV1, chroma
at half the resolution, every second picture a key frame), with H.264 in the same way, and as
`whale lerobot export` does. The PSNR is that of the mean square error over all pictures.
"""

from __future__ import annotations

import argparse
import io
import json
from pathlib import Path

import av
import cv2
import numpy as np

from whale_ros.data.episodes import load_episode, read_manifest
from whale_ros.data.lerobot.video import CODEC, OPTIONS, PIXELS
from whale_ros.evaluation.hardware import hardware

CODECS = {
    "AV1 4:2:0, crf 30 (LeRobot)": (
        "libsvtav1",
        "yuv420p",
        {"crf": "30", "g": "2", "preset": "12"},
    ),
    "H.264 4:2:0, crf 18": ("libx264", "yuv420p", {"crf": "18", "g": "2"}),
    "H.264 4:4:4, crf 18": ("libx264", "yuv444p", {"crf": "18", "g": "2"}),
    "H.264 RGB, lossless (ours)": (CODEC, PIXELS, OPTIONS),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--json", action="store_true", help="print numbers for programs")
    options = parser.parse_args()
    _, infos = read_manifest(options.data)
    files = [options.data / info.file for info in infos if info.split == "validation"]
    videos = [load_episode(file).frames for file in files]
    pictures = sum(map(len, videos))
    rows = {"PNG": (0.0, sum(len(png(p)) for video in videos for p in video) / pictures)}
    for name, codec in CODECS.items():
        squares, size = 0.0, 0
        for video in videos:
            content = encode(video, *codec)
            with av.open(io.BytesIO(content), "r") as container:
                seen = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
            squares += float(((np.stack(seen).astype(float) - video) ** 2).mean()) * len(video)
            size += len(content)
        rows[name] = (squares / pictures, size / pictures)
    report = {
        "pictures": pictures,
        "size": videos[0].shape[1:3],
        "hardware": hardware(),
        "av": av.__version__,
        "psnr_db": {name: psnr(mse) for name, (mse, _) in rows.items()},
        "bytes_per_picture": {name: round(size) for name, (_, size) in rows.items()},
    }
    if options.json:
        print(json.dumps(report, indent=1))
        return
    print(f"{pictures} pictures of {report['size']}, PyAV {av.__version__}, {hardware()}")
    for name, decibels in report["psnr_db"].items():
        quality = "lossless" if decibels is None else f"{decibels:5.1f} dB"
        print(f"{name:30} {quality:>9} {report['bytes_per_picture'][name]:6} bytes a picture")


def encode(video: np.ndarray, codec: str, pixels: str, options: dict[str, str]) -> bytes:
    """A video (T, height, width, 3) as the content of an MP4 file."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream(codec, 5, options=options)
        stream.pix_fmt, stream.height, stream.width = pixels, *video.shape[1:3]
        for picture in video:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return file.getvalue()


def png(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", picture)[1].tobytes()


def psnr(mse: float) -> float | None:
    """In dB; None if nothing is lost."""
    return None if mse == 0 else round(float(10 * np.log10(255**2 / mse)), 2)


if __name__ == "__main__":
    main()
