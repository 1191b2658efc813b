"""Image messages from numpy arrays; `whale_ros.data.images` has the way back."""

from __future__ import annotations

import array
import sys

import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from whale_ros.data.images import ENCODINGS, BadImage


def from_array(image: np.ndarray, encoding: str, header: Header | None = None) -> Image:
    """A message from (H, W, 3 or 4) uint8, or (H, W) uint8, uint16 or float32. Raises BadImage."""
    if encoding not in ENCODINGS:
        raise BadImage(
            f"image encoding {encoding!r} is not supported, use one of {list(ENCODINGS)}"
        )
    channels, dtype = ENCODINGS[encoding]
    fits = image.ndim == 2 if channels == 1 else image.ndim == 3 and image.shape[2] == channels
    if not fits or image.dtype != dtype:
        raise BadImage(f"an array {image.shape} of {image.dtype} is no {encoding} image")
    message = Image(
        height=image.shape[0],
        width=image.shape[1],
        encoding=encoding,
        is_bigendian=int(sys.byteorder == "big"),
        step=image.shape[1] * channels * dtype.itemsize,
        data=array.array("B", image.tobytes()),  # a list would take 100 times as long
    )
    if header is not None:
        message.header = header
    return message
