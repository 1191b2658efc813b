"""A ROS domain of one's own: on a machine where others run the same, none hears of the other."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path


def take_domain(numbers: Iterable[int]) -> tuple[int, int]:
    """The first of the numbers that nobody has taken, and a file that keeps it until it is closed.

    The file is a descriptor, locked; the system closes it with the process, however that ends.
    Raises RuntimeError if all are taken.
    """
    for number in numbers:
        file = _open(Path(tempfile.gettempdir()) / f"whale_ros_domain_{number}.lock")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
        else:
            return number, file
    raise RuntimeError("every ROS domain is taken by another run of whale_ros on this machine")


def _open(path: Path) -> int:
    """Also where another user has made it: creating it again would not be allowed."""
    try:
        return os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return os.open(path, os.O_RDONLY | os.O_CREAT, 0o644)
