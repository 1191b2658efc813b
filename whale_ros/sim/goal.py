"""The picture of a finished task, as a person would take it after doing the task by hand."""

from __future__ import annotations

import numpy as np

from whale_ros.actions.space import ActionSpace
from whale_ros.sim.behaviors import policy_for
from whale_ros.sim.collect import execute
from whale_ros.sim.robots import Arm

MAX_ACTIONS = 60
SETTLING_ACTIONS = 3  # after the first success, so that arm and object are where they belong


def photograph_goal(arm: Arm, task: str, seed: int, space: ActionSpace) -> np.ndarray | None:
    """Let the expert do the task in `arm`; (S, S, 3) uint8 RGB of the end, None if it failed.

    Raises ValueError for an unknown task.
    """
    arm.reset(task, seed)
    policy = policy_for(task, space)
    settling = 0
    for _ in range(MAX_ACTIONS):
        execute(arm, policy.plan(arm.observation, 1)[0], space)
        settling += arm.success
        if settling == SETTLING_ACTIONS:
            return arm.render()
    return None
