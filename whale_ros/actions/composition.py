"""Compose end-effector actions into one, and split one into equal smaller ones.

Retracing needs both (arXiv 2411.05619): the actions of a window are aggregated into one
retracing-action, which is split into as many equal steps. For `base_twist`, translations add up
and rotations multiply, R = R_T ... R_1 (rotation vectors in the base frame); the split is the
n-th root of R. The gripper command is absolute, so the last one is kept.
"""

from __future__ import annotations

import numpy as np
from transforms3d.axangles import axangle2mat, mat2axangle

from whale_ros.actions.space import DIM, GRIPPER, POSITION, ROTATION


def compose(actions: np.ndarray) -> np.ndarray:
    """Aggregate actions (T, 7) into the single action (7,) with the same total effect."""
    total = np.zeros(DIM)
    total[POSITION] = actions[:, POSITION].sum(axis=0)
    rotation = np.eye(3)
    for vector in actions[:, ROTATION]:
        rotation = rotation_matrix(vector) @ rotation
    total[ROTATION] = rotation_vector(rotation)
    total[GRIPPER] = actions[-1, GRIPPER]
    return total


def split(action: np.ndarray, n: int) -> np.ndarray:
    """Split one action (7,) into n equal steps (n, 7); compose(split(a, n)) == a."""
    step = np.array(action, float)
    step[POSITION] /= n
    step[ROTATION] /= n
    return np.tile(step, (n, 1))


def rotation_matrix(vector: np.ndarray) -> np.ndarray:
    """Rotation vector (3,) [rad] to matrix (3, 3)."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-12:
        return np.eye(3)
    return axangle2mat(vector / angle, angle, is_normalized=True)


def rotation_vector(matrix: np.ndarray) -> np.ndarray:
    """Rotation matrix (3, 3) to the rotation vector (3,) [rad] of the same turn."""
    axis, angle = mat2axangle(matrix)
    return np.asarray(axis) * angle
