"""What the arm was told to do, over time, and as actions of any interval."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import numpy as np

from whale_ros.actions.composition import compose
from whale_ros.actions.space import DIM, GRIPPER, POSITION, ROTATION

KEEP_S = 10.0


class CommandTimeline:
    """Twists and gripper commands, each in force until the next one.

    Times are seconds of one clock, in any order of magnitude. Before the first command, and
    without any, the arm stands still with an open gripper.
    """

    def __init__(self, keep_s: float = KEEP_S) -> None:
        """What is older than keep_s, reckoned from the newest command, may be forgotten."""
        self._keep_s = keep_s
        self._entries: deque[tuple[float, np.ndarray, float]] = deque()

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, time_s: float, twist: np.ndarray, gripper: float) -> None:
        """twist: (6,) [m/s, rad/s]. Time that runs back, as when a bag restarts, starts afresh."""
        if self._entries and time_s < self._entries[-1][0]:
            self._entries.clear()
        self._entries.append((time_s, np.asarray(twist, float), float(gripper)))
        while len(self._entries) > 1 and time_s - self._entries[1][0] > self._keep_s:
            self._entries.popleft()

    def copy(self) -> CommandTimeline:
        copy = CommandTimeline()
        copy._entries = self._entries.copy()
        return copy

    def extended(self, start_s: float, actions: np.ndarray, step_s: float) -> CommandTimeline:
        """A copy in which `actions` (H, 7) of step_s each are in force from start_s on."""
        copy = CommandTimeline()
        copy._entries = deque(e for e in self._entries if e[0] < start_s)
        for i, action in enumerate(actions):
            twist = np.concatenate([action[POSITION], action[ROTATION]]) / step_s
            copy._entries.append((start_s + i * step_s, twist, float(action[GRIPPER])))
        return copy

    def actions(self, start_s: float, step_s: float, count: int) -> np.ndarray:
        """The same in `count` intervals of step_s from start_s on, (count, 7): see `between`."""
        return self.between([start_s + i * step_s for i in range(count + 1)])

    def between(self, moments_s: Sequence[float] | np.ndarray) -> np.ndarray:
        """What the commands amount to between one moment and the next, (moments - 1, 7).

        The gripper command is the one in force for most of an interval.
        """
        entries = [(-np.inf, np.zeros(6), 0.0), *self._entries]
        times = np.array([e[0] for e in entries] + [np.inf])
        result = np.zeros((len(moments_s) - 1, DIM))
        for i in range(len(result)):
            begin, end = moments_s[i], moments_s[i + 1]
            first = int(np.searchsorted(times, begin, "right")) - 1
            last = int(np.searchsorted(times, end, "left"))
            pieces, gripper_seconds = [], dict.fromkeys((e[2] for e in entries[first:last]), 0.0)
            for j in range(first, last):
                seconds = min(end, times[j + 1]) - max(begin, times[j])
                pieces.append(np.append(entries[j][1] * seconds, 0.0))
                gripper_seconds[entries[j][2]] += seconds
            result[i] = compose(np.array(pieces))
            result[i, GRIPPER] = max(gripper_seconds, key=lambda g: gripper_seconds[g])
        return result
