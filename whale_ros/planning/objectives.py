"""What a candidate is worth, beside how near it comes to the policy: a sum, lower is better.

The distance to a goal image is measured in the world model's own feature space: any robot can be
shown a picture of the finished task. Distance and angle to a goal pose need no picture, and no
imagination either. A learned value (`world_model/value.py`) reads how many steps are left to the
goal image. The uncertainty as a penalty prefers the surer of two candidates that pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whale_ros.actions.composition import inverse, multiply, to_quaternion, to_rotation_vector
from whale_ros.actions.space import POSITION, ROTATION


@dataclass(frozen=True)
class Weights:
    image: float = 1.0  # of the distance in features
    pose: float = 0.0  # of the distance in metres
    turn: float = 0.0  # of the angle in radians
    uncertainty: float = 0.0
    value: float = 0.0  # of the steps left to the goal image

    def cost(
        self,
        image: np.ndarray | None,
        pose: np.ndarray | None,
        turn: np.ndarray | None,
        uncertainty: np.ndarray,
        steps: np.ndarray | None = None,
    ) -> np.ndarray:
        """(K,) of distances, angles, uncertainties and steps (K,); None: there is no such goal."""
        total = self.uncertainty * uncertainty if self.uncertainty else np.zeros(len(uncertainty))
        if image is not None:
            total = total + self.image * image
        if pose is not None:
            total = total + self.pose * pose
        if turn is not None:
            total = total + self.turn * turn
        if steps is not None and self.value:
            total = total + self.value * steps
        return total


def ends(candidates: np.ndarray, passed: float, position: np.ndarray) -> np.ndarray:
    """(K, 3) where candidates (K, H, 7) end [m].

    `passed` of the actions are done, and have led to `position` (3,).
    """
    return position + _left(candidates, passed)[..., POSITION].sum(axis=1)


def turns_left(
    candidates: np.ndarray, passed: float, orientation: np.ndarray, goal: np.ndarray
) -> np.ndarray:
    """(K,) angles [rad] between a goal and where candidates (K, H, 7) end.

    Orientations are quaternions (4,), (w, x, y, z), in the frame of the actions; `passed` as above.
    """
    ends = np.broadcast_to(orientation, (len(candidates), 4))
    for turns in _left(candidates, passed)[..., ROTATION].swapaxes(0, 1):
        ends = multiply(to_quaternion(turns), ends)
    return np.linalg.norm(to_rotation_vector(multiply(goal, inverse(ends))), axis=1)


def _left(candidates: np.ndarray, passed: float) -> np.ndarray:
    """What is left to do of each action."""
    left = np.clip(np.arange(1, candidates.shape[1] + 1) - passed, 0, 1)
    return candidates * left[:, None]
