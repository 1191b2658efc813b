"""What was done, from the columns of a LeRobot dataset."""

from __future__ import annotations

import numpy as np

from whale_ros.actions.composition import multiply, to_quaternion, to_rotation_vector
from whale_ros.actions.space import DIM, GRIPPER, POSITION, ROTATION
from whale_ros.data.lerobot.files import Info
from whale_ros.data.lerobot.mapping import POSES, Gripper, Mapping, Rotation, measured
from whale_ros.data.poses import differences


def first_row(mapping: Mapping) -> int:
    """The first one with an action: of a commanded pose, the one before must be known."""
    return int(mapping.actions == POSES and not measured(mapping.position))


def read_actions(mapping: Mapping, rows: dict[str, np.ndarray], info: Info) -> np.ndarray:
    """What was done from row to row, from the first row on, (N - 1 - first_row, 7) float64.

    rows: (N, width) by column. Raises ValueError if a gripper or a quaternion cannot be one.
    """
    first = first_row(mapping)
    position = mapping.position.read(rows, info) * mapping.position.unit
    rotation = np.zeros_like(position)
    if mapping.rotation is not None:
        rotation = mapping.rotation.read(rows, info) * mapping.rotation.unit
    actions = np.zeros((len(position) - 1 - first, DIM))
    if mapping.actions == POSES:
        poses = np.hstack([position, _quaternion(rotation, mapping.rotation)])
        # differences of commanded poses come one more
        actions[:, :GRIPPER] = differences(poses)[: len(actions)]
    else:
        if mapping.actions != "euler_coordinate_difference" and mapping.rotation is not None:
            rotation = _rotation_vector(rotation, mapping.rotation)
        actions[:, POSITION], actions[:, ROTATION] = position[:-1], rotation[:-1]
    gripper = _closed(mapping.gripper, rows, info)
    actions[:, GRIPPER] = (gripper[1:] if measured(mapping.gripper) else gripper[:-1])[first:]
    return actions


def _rotation_vector(rotation: np.ndarray, part: Rotation) -> np.ndarray:
    if part.form == "rotation_vector":  # not there and back, which would round
        return rotation
    return to_rotation_vector(_quaternion(rotation, part))


def _closed(part: Gripper, rows: dict[str, np.ndarray], info: Info) -> np.ndarray:
    """(N,) from 0 open to 1 closed."""
    values = part.read(rows, info)[:, 0]
    closed = (values - part.open) / (part.closed - part.open)
    if (outside := np.abs(closed - 0.5) > 0.55).any():
        raise ValueError(
            f"gripper: {part.column!r} holds {values[outside][0]:g}, which is not between open "
            f"({part.open:g}) and closed ({part.closed:g}); set these as they are in the dataset"
        )
    return np.clip(closed, 0.0, 1.0)


def _quaternion(rotation: np.ndarray, part: Rotation | None) -> np.ndarray:
    """Rotations (N, 3 or 4) as unit quaternions (N, 4), (w, x, y, z)."""
    form = part.form if part is not None else "rotation_vector"
    if form == "rotation_vector":
        return to_quaternion(rotation)
    if form == "euler_xyz":  # roll, pitch, yaw about the fixed axes x, y, z
        x, y, z = (to_quaternion(rotation[:, [i]] * np.eye(3)[i]) for i in range(3))
        return multiply(z, multiply(y, x))
    quaternion = rotation if form == "quaternion_wxyz" else np.roll(rotation, 1, axis=1)
    norm = np.linalg.norm(quaternion, axis=1, keepdims=True)
    if (np.abs(norm - 1) > 0.01).any():
        raise ValueError(f"rotation: the length of a quaternion is {norm.max():g}, which is not 1")
    return quaternion / norm
