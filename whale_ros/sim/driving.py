"""How twists drive a hand, whatever the arm: by a target that runs a little ahead of it."""

from __future__ import annotations

import numpy as np
from transforms3d.quaternions import qinverse, qmult

from whale_ros.actions.composition import to_quaternion, to_rotation_vector

STEP_S = 0.0125  # one simulator step: 5 MuJoCo steps of 2.5 ms
MAX_LEAD_M = 0.03  # how far the target may run ahead of a hand that is blocked


def moved(
    target: np.ndarray, hand: np.ndarray, velocity: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """The target (3,) after STEP_S of `velocity` (3,) [m/s], inside the workspace."""
    ahead = target + velocity * STEP_S - hand
    distance = np.linalg.norm(ahead)
    if distance > MAX_LEAD_M:
        ahead *= MAX_LEAD_M / distance
    return np.clip(hand + ahead, low, high)


def turned(
    quaternion: np.ndarray, rotation: np.ndarray, home: np.ndarray, max_tilt_rad: float
) -> np.ndarray:
    """Turn by a rotation vector (3,) in the base frame, staying within `max_tilt_rad` of home."""
    after = qmult(to_quaternion(rotation), quaternion)
    from_home = to_rotation_vector(qmult(after, qinverse(home)))
    angle = np.linalg.norm(from_home)
    if angle > max_tilt_rad:
        after = qmult(to_quaternion(from_home * max_tilt_rad / angle), home)
    return after
