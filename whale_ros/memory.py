"""Memory that was freed stays with the process."""

from __future__ import annotations

import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # as malloc.h names them, with M_ before
KEPT_BYTES = 256 << 20
LARGEST_BYTES = 32 << 20  # of one block that is kept; glibc allows no more


def keep_freed_memory() -> None:
    """Ask the C library not to hand freed memory back to the system at once.

    Every step of a world model frees megabytes that the next one needs again. To fetch them anew,
    page by page, takes a tenth of the time of retracing. Does nothing without glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(MMAP_THRESHOLD, LARGEST_BYTES)
        mallopt(TRIM_THRESHOLD, KEPT_BYTES)
