"""Compose end-effector actions into one, and split one into equal smaller ones.

Retracing needs both (arXiv 2411.05619): the actions of a window are aggregated into one
retracing-action, which is split into as many equal steps. For `base_twist`, translations add up
and rotations multiply, R = R_T ... R_1 (rotation vectors in the base frame); the split is the
n-th root of R. The gripper command is absolute, so the last one is kept.
"""

from __future__ import annotations

import numpy as np

from whale_ros.actions.space import GRIPPER, POSITION, ROTATION


def compose(actions: np.ndarray) -> np.ndarray:
    """Aggregate actions (..., T, 7) into single ones (..., 7) with the same total effect."""
    total = np.array(actions[..., -1, :], float)
    total[..., POSITION] = actions[..., POSITION].sum(axis=-2)
    quaternion = to_quaternion(actions[..., 0, ROTATION])
    for t in range(1, actions.shape[-2]):
        quaternion = multiply(to_quaternion(actions[..., t, ROTATION]), quaternion)
    total[..., ROTATION] = to_rotation_vector(quaternion)
    return total


def split(action: np.ndarray, n: int) -> np.ndarray:
    """Split actions (..., 7) into n equal steps (..., n, 7); compose(split(a, n)) == a.

    Exact for turns below 180 degrees, beyond which a rotation has a shorter way back.
    """
    steps = np.repeat(np.asarray(action, float)[..., None, :], n, axis=-2)
    steps[..., POSITION] /= n
    steps[..., ROTATION] /= n
    return steps


def holds_gripper_switch(actions: np.ndarray) -> np.ndarray:
    """Whether the gripper command changes within windows (..., T, 7); bool (...)."""
    return np.ptp(actions[..., GRIPPER], axis=-1) > 0.1


def to_quaternion(vector: np.ndarray) -> np.ndarray:
    """Rotation vectors (..., 3) [rad] to unit quaternions (..., 4), (w, x, y, z)."""
    vector = np.asarray(vector, float)
    half = np.linalg.norm(vector, axis=-1, keepdims=True) / 2
    return np.concatenate([np.cos(half), vector / 2 * np.sinc(half / np.pi)], axis=-1)


def to_rotation_vector(quaternion: np.ndarray) -> np.ndarray:
    """Unit quaternions (..., 4), (w, x, y, z), to the shortest rotation vectors (..., 3) [rad]."""
    quaternion = np.where(quaternion[..., :1] < 0, -quaternion, quaternion)
    sine = np.linalg.norm(quaternion[..., 1:], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, quaternion[..., :1])
    return quaternion[..., 1:] * np.where(sine > 1e-12, angle / np.maximum(sine, 1e-12), 2.0)


def multiply(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Product of quaternions (..., 4), (w, x, y, z): first `right`, then `left`."""
    a, b, c, d = np.moveaxis(left, -1, 0)
    w, x, y, z = np.moveaxis(right, -1, 0)
    return np.stack(
        [
            a * w - b * x - c * y - d * z,
            a * x + b * w + c * z - d * y,
            a * y - b * z + c * w + d * x,
            a * z + b * y - c * x + d * w,
        ],
        axis=-1,
    )
