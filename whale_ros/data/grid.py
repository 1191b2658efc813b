"""Pictures that are a model step apart, up to where one is missing or cannot be used."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whale_ros.data.tracks import Cut

MAX_OFF_GRID = 0.55  # of a step, as for the running model: of two pictures a step one may be lost
MAX_BEYOND = 0.1  # of a step, behind the last picture: a nearer one would have come


@dataclass(frozen=True)
class Run:
    """pictures: (F,) indices, a step apart. is_last: nothing is missing behind the last one."""

    pictures: np.ndarray
    is_last: bool


def runs(
    stamp_s: np.ndarray, why_not: dict[int, str], step_s: float
) -> tuple[list[Run], list[Cut]]:
    """All runs of pictures with rising stamps (N,), and why they do not last longer.

    why_not: of pictures that cannot be used. Each run begins with the first picture that can be,
    and takes the one that is nearest to each further step.
    """
    usable = np.array([i for i in range(len(stamp_s)) if i not in why_not], int)
    found: list[Run] = []
    cuts: list[Cut] = []
    first = 0  # that may begin a run
    while first < len(stamp_s):
        at = int(np.searchsorted(usable, first))
        begin = int(usable[at]) if at < len(usable) else len(stamp_s)
        if begin > first:
            cuts.append(Cut(stamp_s[first], stamp_s[begin - 1], why_not[first]))
        if begin == len(stamp_s):
            break
        pictures, why = _run(stamp_s, why_not, step_s, begin)
        found.append(Run(np.array(pictures), not why))
        if not why:
            break
        due = stamp_s[begin] + (len(pictures) - MAX_OFF_GRID) * step_s
        first = max(pictures[-1] + 1, int(np.searchsorted(stamp_s, due)))
        if first not in why_not:  # else that is told when the next one begins
            cuts.append(Cut(stamp_s[pictures[-1]], stamp_s[first], why))
    return found, cuts


def _run(
    stamp_s: np.ndarray, why_not: dict[int, str], step_s: float, begin: int
) -> tuple[list[int], str]:
    """Indices of its pictures, and why it ends; empty where there are no more pictures."""
    pictures = [begin]
    while True:
        due = stamp_s[begin] + len(pictures) * step_s
        if due > stamp_s[-1] + MAX_BEYOND * step_s:
            return pictures, ""
        after = min(int(np.searchsorted(stamp_s, due)), len(stamp_s) - 1)
        nearest = after - int(after > 0 and due - stamp_s[after - 1] < stamp_s[after] - due)
        if abs(stamp_s[nearest] - due) > MAX_OFF_GRID * step_s or nearest <= pictures[-1]:
            return pictures, f"no picture for {stamp_s[after] - stamp_s[after - 1]:.2f} s"
        if nearest in why_not:
            return pictures, why_not[nearest]
        pictures.append(nearest)
