"""What the arm will do anyway while the next plan is being made."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from whale_ros.actions.space import DIM, GRIPPER


@dataclass(frozen=True)
class RunningChunk:
    """Actions (H, 7) of step_s each, the first of which begins at start_s."""

    start_s: float
    actions: np.ndarray
    step_s: float

    @property
    def end_s(self) -> float:
        return self.start_s + len(self.actions) * self.step_s

    def from_next_step(self, now_s: float) -> tuple[float, np.ndarray]:
        """When the next step begins, and the actions (n, 7) from then on; n may be 0."""
        step = max(0, math.ceil((now_s - self.start_s) / self.step_s - 1e-6))
        return self.start_s + step * self.step_s, self.actions[step:]


def is_due(running: RunningChunk | None, now_s: float, steps: int) -> bool:
    """Whether planning that takes `steps` must begin now to be done before the chunk ends."""
    return running is None or len(running.from_next_step(now_s)[1]) <= steps


def commit(
    running: RunningChunk | None, now_s: float, steps: int, step_s: float, gripper: float
) -> tuple[float, np.ndarray]:
    """When a new plan begins, and its first actions (n, 7), n >= steps, which are settled.

    They are the rest of the running chunk, then standing still: so an arm that is imagined to
    stand still while the plan is made really does, and a new chunk continues the old one.
    gripper: the present command, for an arm that does nothing.
    """
    start_s, rest = now_s, np.empty((0, DIM))
    if running is not None and now_s < running.end_s:
        start_s, rest = running.from_next_step(now_s)
        gripper = float(running.actions[-1, GRIPPER])
    return start_s, np.concatenate([rest, stand_still(max(0, steps - len(rest)), gripper)])


def stand_still(steps: int, gripper: float) -> np.ndarray:
    """(steps, 7) without motion, with a constant gripper command."""
    actions = np.zeros((steps, DIM))
    actions[:, GRIPPER] = gripper
    return actions


def shift(actions: np.ndarray, age_s: float, step_s: float) -> np.ndarray:
    """The rest of a sequence (H, 7) that began age_s ago, to the nearest whole step; (n, 7)."""
    return actions[max(0, round(age_s / step_s)) :]
