"""Poses at other moments than they were measured at, and the motions between them."""

from __future__ import annotations

import numpy as np

from whale_ros.actions.composition import inverse, multiply, to_quaternion, to_rotation_vector
from whale_ros.data.tracks import Track


def interpolate(pose: Track, moments_s: np.ndarray) -> np.ndarray:
    """Poses (M, 7) at moments within the track, whose stamps rise; turns take the shortest way."""
    after = np.clip(np.searchsorted(pose.stamp_s, moments_s), 1, len(pose) - 1)
    begin, end = pose.values[after - 1], pose.values[after]
    span = pose.stamp_s[after] - pose.stamp_s[after - 1]
    share = ((moments_s - pose.stamp_s[after - 1]) / span)[:, None]
    position = begin[:, :3] + share * (end[:, :3] - begin[:, :3])
    turn = to_rotation_vector(multiply(end[:, 3:], inverse(begin[:, 3:])))
    return np.hstack([position, multiply(to_quaternion(share * turn), begin[:, 3:])])


def differences(pose: np.ndarray) -> np.ndarray:
    """Base twists (M-1, 6) that lead from each of the poses (M, 7) to the next."""
    turn = to_rotation_vector(multiply(pose[1:, 3:], inverse(pose[:-1, 3:])))
    return np.hstack([np.diff(pose[:, :3], axis=0), turn])
