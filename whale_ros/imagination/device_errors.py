"""What becomes of a world model whose device fails."""

from __future__ import annotations

import gc
import time
from collections import deque
from collections.abc import Callable

import torch

SHORTAGES = 3
WITHIN_S = 600.0


def is_out_of_memory(error: Exception) -> bool:
    return isinstance(error, torch.OutOfMemoryError)


def is_for_good(error: Exception) -> bool:
    """The process has lost its device: whatever it asks of it from now on fails."""
    return isinstance(error, torch.AcceleratorError)


def free_memory() -> None:
    """What nobody holds any more, on the device too."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


class Shortages:
    """Of memory: one may be an accident, three within ten minutes are none."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._times: deque[float] = deque(maxlen=SHORTAGES)

    def count(self) -> None:
        self._times.append(self._clock())

    def why_not(self) -> str:
        """Why nothing should be tried any more before a person looks at it; empty if it may."""
        full = len(self._times) == SHORTAGES
        if not full or self._times[-1] - self._times[0] > WITHIN_S:
            return ""
        return (
            f"out of memory {SHORTAGES} times within {WITHIN_S / 60:g} minutes: free some, then "
            "call load_checkpoint or activate the node again"
        )
