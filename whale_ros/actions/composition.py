"""Compose end-effector actions into one, and split one into equal smaller ones.

Retracing needs both (arXiv 2411.05619): the actions of a window are aggregated into one
retracing-action, which is split into as many equal steps. How depends on what the numbers mean:

`base_twist`: translation and rotation vector in the base frame. Translations add up, rotations
multiply, R = R_T ... R_1; a step is the n-th root of R.
`axis_angle`: the rotation is axis times angle, again in the base frame, so the same.
`body_twist`: a twist in the hand's frame, which turns on the way: the poses exp(a_1) ... exp(a_T)
multiply, and a step is the n-th root of the product, exp(log(.) / n), in SE(3).
`euler_coordinate_difference`: differences of position and of roll, pitch, yaw, as in BridgeData.
All add up; an angle that passes 180 degrees has jumped by 360, which is undone.
`absolute_pose`: where to be, position and rotation vector. The last one counts; the steps lead
there straight from where the arm was sent before.

The gripper command is absolute in all of them, so the last one is kept. A robot whose gripper takes
differences or efforts needs them turned into 0 (open) .. 1 (closed) where its data are read.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from whale_ros.actions.space import GRIPPER, POSITION, ROTATION

POSE = slice(0, GRIPPER)


def compose(actions: np.ndarray, type: str = "base_twist") -> np.ndarray:
    """Aggregate actions (..., T, 7) into single ones (..., 7) with the same total effect.

    Raises ValueError if the type is unknown.
    """
    actions = np.asarray(actions, float)
    pose = _composition(type)(actions[..., POSE])
    return np.concatenate([pose, actions[..., -1, GRIPPER:]], axis=-1)


def split(
    action: np.ndarray, n: int, type: str = "base_twist", since: np.ndarray | None = None
) -> np.ndarray:
    """Split actions (..., 7) into n equal steps (..., n, 7); compose(split(a, n)) == a.

    since: (..., 7) the `absolute_pose` before, from which the steps lead; of no other type.
    Exact for turns below 180 degrees, beyond which a rotation has a shorter way back.
    Raises ValueError if the type is unknown, or `since` is missing or of no use.
    """
    _composition(type)
    if (type == "absolute_pose") != (since is not None):
        raise ValueError(f"`since` is for absolute poses, and they need it; got {type!r}, {since}")
    steps = np.repeat(np.asarray(action, float)[..., None, :], n, axis=-2)
    if since is None:
        steps[..., POSE] /= n
    else:
        steps[..., POSE] = _on_the_way(steps[..., POSE], np.asarray(since, float)[..., None, POSE])
    return steps


def holds_gripper_switch(actions: np.ndarray) -> np.ndarray:
    """Whether the absolute gripper command changes within windows (..., T, 7); bool (...)."""
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


def inverse(quaternion: np.ndarray) -> np.ndarray:
    """Of unit quaternions (..., 4), (w, x, y, z)."""
    return quaternion * np.array([1.0, -1.0, -1.0, -1.0])


def _in_base(poses: np.ndarray) -> np.ndarray:
    quaternion = to_quaternion(poses[..., 0, ROTATION])
    for t in range(1, poses.shape[-2]):
        quaternion = multiply(to_quaternion(poses[..., t, ROTATION]), quaternion)
    position = poses[..., POSITION].sum(axis=-2)
    return np.concatenate([position, to_rotation_vector(quaternion)], axis=-1)


def _in_body(twists: np.ndarray) -> np.ndarray:
    position, quaternion = _exponential(twists[..., 0, :])
    for t in range(1, twists.shape[-2]):
        moved, turned = _exponential(twists[..., t, :])
        position = position + _rotate(quaternion, moved)
        quaternion = multiply(quaternion, turned)
    return _logarithm(position, quaternion)


def _of_coordinates(differences: np.ndarray) -> np.ndarray:
    total = differences.sum(axis=-2)
    total[..., ROTATION] = _wrap(_wrap(differences[..., ROTATION]).sum(axis=-2))
    return total


def _last(poses: np.ndarray) -> np.ndarray:
    return poses[..., -1, :]


COMPOSITIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {  # of poses (..., T, 6) to (..., 6)
    "base_twist": _in_base,
    "axis_angle": _in_base,
    "body_twist": _in_body,
    "euler_coordinate_difference": _of_coordinates,
    "absolute_pose": _last,
}


def _composition(type: str) -> Callable[[np.ndarray], np.ndarray]:
    if type not in COMPOSITIONS:
        raise ValueError(f"unknown action type {type!r}; known: {', '.join(COMPOSITIONS)}")
    return COMPOSITIONS[type]


def _on_the_way(targets: np.ndarray, since: np.ndarray) -> np.ndarray:
    """n points on the straight way to targets (..., n, 6), which are n times the same."""
    n = targets.shape[-2]
    share = np.arange(1, n + 1)[:, None] / n
    begin = to_quaternion(since[..., ROTATION])
    turn = to_rotation_vector(multiply(to_quaternion(targets[..., ROTATION]), inverse(begin)))
    orientation = multiply(to_quaternion(share * turn), begin)
    position = since[..., POSITION] + share * (targets[..., POSITION] - since[..., POSITION])
    return np.concatenate([position, to_rotation_vector(orientation)], axis=-1)


def _wrap(angles: np.ndarray) -> np.ndarray:
    """To -pi .. pi [rad]."""
    return angles - 2 * np.pi * np.round(angles / (2 * np.pi))


def _exponential(twist: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Twists (..., 6) to the position (..., 3) and quaternion (..., 4) that they lead to."""
    velocity, turn = twist[..., POSITION], twist[..., ROTATION]
    angle = np.linalg.norm(turn, axis=-1, keepdims=True)
    once = np.cross(turn, velocity)
    a = np.sinc(angle / (2 * np.pi)) ** 2 / 2  # (1 - cos) / angle^2
    safe = np.maximum(angle, 1e-3)
    b = np.where(angle < 1e-3, 1 / 6, (safe - np.sin(safe)) / safe**3)
    return velocity + a * once + b * np.cross(turn, once), to_quaternion(turn)


def _logarithm(position: np.ndarray, quaternion: np.ndarray) -> np.ndarray:
    """The twists (..., 6), of less than half a turn, that lead to there; undoes `_exponential`."""
    turn = to_rotation_vector(quaternion)
    half = np.linalg.norm(turn, axis=-1, keepdims=True) / 2
    once = np.cross(turn, position)
    safe = np.maximum(half, 5e-4)
    c = np.where(half < 5e-4, 1 / 12, (1 - safe / np.tan(safe)) / (2 * safe) ** 2)
    return np.concatenate([position - once / 2 + c * np.cross(turn, once), turn], axis=-1)


def _rotate(quaternion: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Vectors (..., 3) turned by unit quaternions (..., 4)."""
    axis = quaternion[..., 1:]
    twice = 2 * np.cross(axis, vector)
    return vector + quaternion[..., :1] * twice + np.cross(axis, twice)
