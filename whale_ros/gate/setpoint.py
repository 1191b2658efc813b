"""The commanded pose, for arms that take poses instead of twists."""

from __future__ import annotations

import numpy as np

from whale_ros.actions.composition import multiply, to_quaternion, to_rotation_vector
from whale_ros.gate.config import GateConfig
from whale_ros.gate.pose import Pose


class Setpoint:
    """Integrates twists from the measured pose; in a hold it stays where the hold began,
    or where somebody took the arm meanwhile.

    It never leads the measured pose by more than one action may move, so that an arm that was
    blocked does not leap when it comes free, and never leaves the workspace by more than the
    margin. position (3,) [m], quaternion (4,) as (w, x, y, z); None before the first pose.
    """

    def __init__(self, config: GateConfig) -> None:
        self.config = config
        self.position: np.ndarray | None = None
        self.quaternion: np.ndarray | None = None
        self._moving = False

    def hold(self, pose: Pose | None) -> None:
        if pose is not None and (self._moving or self._is_far(pose)):
            self.position, self.quaternion = pose.position, pose.quaternion
        self._moving = False

    def _is_far(self, pose: Pose) -> bool:
        """Whether somebody moved the held arm, to which it must not leap back."""
        if self.position is None:
            return True
        moved = float(np.linalg.norm(pose.position - self.position))
        return moved > self.config.action_space.max_translation_m

    def follow(self, twist: np.ndarray, seconds: float, pose: Pose) -> None:
        """Move on by twist (6,) for some seconds."""
        space = self.config.action_space
        if not self._moving or self.position is None or self.quaternion is None:
            self.position, self.quaternion = pose.position, pose.quaternion
        self._moving = True

        lead = self.position + twist[:3] * seconds - pose.position
        position = pose.position + shorten(lead, space.max_translation_m)
        margin = self.config.workspace_margin_m
        low, high = np.array(self.config.workspace_low), np.array(self.config.workspace_high)
        self.position = np.clip(position, low - margin, high + margin)

        turned = multiply(to_quaternion(twist[3:] * seconds), self.quaternion)
        conjugate = pose.quaternion * np.array([1.0, -1.0, -1.0, -1.0])
        lead = shorten(to_rotation_vector(multiply(turned, conjugate)), space.max_rotation_rad)
        quaternion = multiply(to_quaternion(lead), pose.quaternion)
        self.quaternion = quaternion / np.linalg.norm(quaternion)


def shorten(vector: np.ndarray, limit: float) -> np.ndarray:
    """The vector (n,), at most `limit` long."""
    return vector * min(1.0, limit / max(float(np.linalg.norm(vector)), 1e-12))
