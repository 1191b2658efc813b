"""What gate and recorder must know of serialized messages, read without copying their pixels."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np

from whale_ros.gate.picture import Picture

HASHED_BYTES = 200_000  # a hash of all of a large image would make a cycle late
LONGEST_NAME = 256  # bytes of frame_id and encoding; who sends longer ones means harm


def stamp_of(serialized: bytes) -> float:
    """header.stamp [s]. Raises ValueError if the message is too short."""
    sec, nanosec = _Reader(serialized).take("iI")
    return sec + nanosec * 1e-9


def frame_of(serialized: bytes) -> str:
    """header.frame_id. Raises ValueError if the message is too short."""
    reader = _Reader(serialized)
    reader.take("iI")
    return reader.text()


def picture_of(serialized: bytes) -> Picture:
    """Raises ValueError if the message is cut off or claims more than it has."""
    reader = _Reader(serialized)
    reader.take("iI")
    reader.text()
    height, width = reader.take("II")
    encoding = reader.text()
    reader.take("B")
    step, size = reader.take("II")
    return Picture(_hash(reader.rest(size)), height, width, encoding, step, size)


def pixels_of_compressed(serialized: bytes) -> int:
    """A hash of the data of a sensor_msgs/CompressedImage. Raises ValueError as `picture_of`."""
    reader = _Reader(serialized)
    reader.take("iI")
    reader.text()
    reader.text()
    (size,) = reader.take("I")
    return _hash(reader.rest(size))


def position_of(serialized: bytes) -> tuple[float, float, float]:
    """x, y, z of a geometry_msgs/PoseStamped [m]. Raises ValueError if the message is too short."""
    reader = _Reader(serialized)
    reader.take("iI")
    reader.text()
    x, y, z = reader.take("ddd")
    return x, y, z


def _hash(pixels: memoryview) -> int:
    # numpy steps through memory ten times faster than a memoryview
    return zlib.crc32(np.asarray(pixels)[:: 1 + len(pixels) // HASHED_BYTES].tobytes())


class _Reader:
    """Fields of a CDR message, one after the other."""

    def __init__(self, serialized: bytes) -> None:
        """Raises ValueError for another encapsulation than ROS 2 uses, which aligns otherwise."""
        if serialized[:2] not in (b"\0\0", b"\0\1"):
            raise ValueError(f"the first bytes are {serialized[:2]!r}: this is no plain CDR")
        self._bytes = serialized
        self.at = 4  # behind the encapsulation, whose second byte's bit 0 is little endian
        self._order = "<" if serialized[1] & 1 else ">"

    def take(self, format: str) -> tuple[Any, ...]:
        """Numbers of one size, e.g. "II"."""
        each = struct.calcsize(f"={format[0]}")
        start = 4 + -(-(self.at - 4) // each) * each  # aligned to their size
        self.at = start + each * len(format)
        if self.at > len(self._bytes):
            raise ValueError(f"a message of {len(self._bytes)} bytes ends before its fields do")
        return struct.unpack_from(f"{self._order}{format}", self._bytes, start)

    def text(self) -> str:
        """A string; its length counts the zero at its end."""
        (length,) = self.take("I")
        start, self.at = self.at, self.at + length
        if length > LONGEST_NAME or self.at > len(self._bytes):
            raise ValueError(f"a text claims {length} bytes, at most {LONGEST_NAME} are allowed")
        return bytes(self._bytes[start : self.at]).rstrip(b"\0").decode(errors="replace")

    def rest(self, size: int) -> memoryview:
        """That many bytes; what follows them is padding, of at most 3 bytes."""
        rest = memoryview(self._bytes)[self.at :][:size]
        if len(rest) < size:
            raise ValueError(f"an image claims {size} bytes of pixels and has {len(rest)}")
        return rest
