"""Convert sensor_msgs images to numpy arrays, be they of rclpy or read from a bag without ROS.

Our own converter, always: cv_bridge breaks on numpy 2 (vision_opencv issue 535) and is not on
PyPI. A test shows that both agree where cv_bridge is present. Everything that a message claims is
checked before memory is taken for it.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

MAX_PIXELS = 64_000_000  # no camera has more; a message that claims more is broken or hostile

# encoding: (channels, dtype of one number)
ENCODINGS: dict[str, tuple[int, np.dtype]] = {
    "rgb8": (3, np.dtype(np.uint8)),
    "bgr8": (3, np.dtype(np.uint8)),
    "rgba8": (4, np.dtype(np.uint8)),
    "bgra8": (4, np.dtype(np.uint8)),
    "mono8": (1, np.dtype(np.uint8)),
    "16UC1": (1, np.dtype(np.uint16)),
    "32FC1": (1, np.dtype(np.float32)),
}
COLOURED = ("rgb8", "bgr8", "rgba8", "bgra8", "mono8")  # what `to_rgb` takes


class BadImage(ValueError):
    """An image message contradicts itself or has an encoding that is not supported."""


def to_array(message: Any) -> np.ndarray:
    """An Image in its own encoding: (H, W, 3 or 4) uint8, or (H, W) uint8, uint16 or float32.

    Honours `step` (padded rows) and `is_bigendian`. The result is a copy in native byte order.
    Raises BadImage.
    """
    if message.encoding not in ENCODINGS:
        raise BadImage(
            f"image encoding {message.encoding!r} is not supported, use one of {list(ENCODINGS)}"
        )
    channels, dtype = ENCODINGS[message.encoding]
    height, width, step = message.height, message.width, message.step
    _check_size(height, width)
    row_bytes = width * channels * dtype.itemsize
    if step < row_bytes:
        raise BadImage(
            f"image step is {step} bytes, but a row of {width} {message.encoding} pixels "
            f"takes {row_bytes}"
        )
    if len(message.data) != height * step:
        raise BadImage(
            f"image data has {len(message.data)} bytes, but height x step is "
            f"{height} x {step} = {height * step}"
        )
    rows = np.frombuffer(message.data, np.uint8).reshape(height, step)[:, :row_bytes]
    order = dtype.newbyteorder(">" if message.is_bigendian else "<")
    numbers = np.ascontiguousarray(rows).view(order).astype(dtype)
    return numbers.reshape(height, width, channels) if channels > 1 else numbers


def to_rgb(message: Any) -> np.ndarray:
    """An Image or CompressedImage as (H, W, 3) uint8, red first. Raises BadImage for depth too."""
    if not hasattr(message, "encoding"):
        return _decode(message)
    image = to_array(message)
    if message.encoding not in COLOURED:
        raise BadImage(f"image encoding {message.encoding!r} has no colours")
    if message.encoding in ("bgr8", "bgra8"):
        return np.ascontiguousarray(image[..., 2::-1])
    if message.encoding == "mono8":
        return np.repeat(image[..., None], 3, axis=2)
    return np.ascontiguousarray(image[..., :3])


def _decode(message: Any) -> np.ndarray:
    data = bytes(message.data)
    size = _png_size(data) or _jpeg_size(data)
    if size is None:
        raise BadImage(
            f"compressed image of format {message.format!r} and {len(data)} bytes is neither "
            "PNG nor JPEG"
        )
    _check_size(*size)
    image = None
    if not (_is_cut_off_png(data) or _is_cut_off_jpeg(data)):
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise BadImage(
            f"compressed image of format {message.format!r} cannot be decoded: it is cut off or "
            "damaged"
        )
    return np.ascontiguousarray(image[..., ::-1])


def _check_size(height: int, width: int) -> None:
    if height == 0 or width == 0:
        raise BadImage(f"image is empty: {width} x {height} pixels")
    if height * width > MAX_PIXELS:
        raise BadImage(f"image claims {width} x {height} pixels, at most {MAX_PIXELS} are allowed")


def _png_size(data: bytes) -> tuple[int, int] | None:
    """(height, width) from the header of a PNG."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n") or len(data) < 24:
        return None
    return int.from_bytes(data[20:24], "big"), int.from_bytes(data[16:20], "big")


def _is_cut_off_png(data: bytes) -> bool:
    """OpenCV asks for as much memory as a chunk claims to have, up to 4 GB."""
    if not data.startswith(b"\x89PNG"):
        return False
    at = 8
    while at < len(data):
        at += 12 + int.from_bytes(data[at : at + 4], "big")
    return at > len(data)


def _is_cut_off_jpeg(data: bytes) -> bool:
    """OpenCV before 5 makes what is missing grey. Cameras pad with zeros."""
    return data.startswith(b"\xff\xd8") and not data.rstrip(b"\0").endswith(b"\xff\xd9")


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """(height, width) from the frame header of a JPEG, whichever segment it is in."""
    if not data.startswith(b"\xff\xd8"):
        return None
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):
            size = data[at + 5 : at + 9]
            return int.from_bytes(size[:2], "big"), int.from_bytes(size[2:], "big")
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None
