"""What the arm will do anyway while the next plan is being made."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from whale_ros.actions.space import DIM, GRIPPER

HEAD_START_S = 0.03  # as late as possible sees most, but just after a step begins is too late


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
    return running is None or running.end_s - now_s <= steps * running.step_s + HEAD_START_S


@dataclass(frozen=True)
class Settled:
    """How a new plan begins: what cannot be changed any more."""

    start_s: float
    actions: np.ndarray  # (n, 7)
    motion_end_s: float  # when the running chunk ends; after it the arm stands still


def settle(
    running: RunningChunk | None,
    now_s: float,
    steps: int,
    step_s: float,
    gripper: float,
    moved_s: float,
    expected_s: float,
) -> Settled:
    """The rest of the running chunk; and standing still, if the plan will not be made by its end.

    So an arm that is imagined to stand still while the plan is made really does, and a new chunk
    continues the old one. The plan is expected to take expected_s; an arm that stands still does so
    for `steps` actions in all, which are always enough. For an arm that does nothing: `gripper` is
    its present command, and `moved_s` is when it last moved.
    """
    start_s, rest = now_s, np.empty((0, DIM))
    if running is not None and now_s < running.end_s:
        start_s, rest = running.from_next_step(now_s)
        gripper, moved_s = float(running.actions[-1, GRIPPER]), running.end_s
        if len(rest) and running.end_s - now_s >= expected_s - 1e-6:
            return Settled(start_s, rest, moved_s)
    still = stand_still(max(0, steps - len(rest)), gripper)
    return Settled(start_s, np.concatenate([rest, still]), moved_s)


def imagined_steps(observed_s: float, start_s: float, horizon: int, step_s: float) -> int:
    """How many actions of a candidate that begins at start_s are imagined to their end.

    As many frames as it has actions are imagined, but from the newest image on, which is older:
    what the candidate does after them, nobody has seen.
    """
    return min(horizon, math.floor((observed_s - start_s) / step_s + horizon + 1e-6))


def follow(actions: np.ndarray, began_s: float, settled: Settled, step_s: float) -> np.ndarray:
    """What is left of a policy's sequence (H, 7) after the settled motion; (n, 7).

    A policy says what to do from began_s on, so the actions up to the end of the motion are
    past, to the nearest whole step. While the arm stands still nothing passes: what was right
    from here still is.
    """
    past = round((settled.motion_end_s - began_s) / step_s) if settled.motion_end_s > began_s else 0
    return actions[past:]


def stand_still(steps: int, gripper: float) -> np.ndarray:
    """(steps, 7) without motion, with a constant gripper command."""
    actions = np.zeros((steps, DIM))
    actions[:, GRIPPER] = gripper
    return actions
