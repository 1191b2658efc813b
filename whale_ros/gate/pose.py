"""Watch the pose of the end effector: alive, finite, in the right frame, without jumps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from whale_ros.actions.composition import multiply, to_rotation_vector
from whale_ros.gate.check import Check, Now
from whale_ros.gate.config import GateConfig
from whale_ros.gate.watchdogs import Watchdog

QUATERNION_TOLERANCE = 1e-3
BAD_POSES_S = 0.1  # of nothing but poses that cannot be used
JUMP_FLOOR_S = 0.05  # drivers send poses in bursts when they are late: closer stamps say nothing


@dataclass(frozen=True)
class Pose:
    """stamp [s], ROS time; position (3,) [m]; quaternion (4,) as (w, x, y, z)."""

    stamp: float
    frame: str
    position: np.ndarray
    quaternion: np.ndarray


class PoseWatch:
    """`pose` is the newest pose that counted, None before the first."""

    def __init__(self, config: GateConfig) -> None:
        self.config = config
        self.pose: Pose | None = None
        self.watchdog = Watchdog(
            "pose", config.pose_timeout_s, config.pose_timeout_s, config.future_tolerance_s
        )
        self._jump = 0.0  # largest step since the last check, 1 = twice the speed limit
        self._jump_message = "no jump"
        self._bad_since: float | None = None  # steady
        self._why_bad_now = ""

    def feed(self, now: Now, pose: Pose) -> str | None:
        """None if the pose counts, else why it is dropped."""
        was_alive = self.watchdog.check(now).ok
        bad = why_bad(pose, self.config.frame)
        reason = self.watchdog.feed(now, pose.stamp, bad)
        if bad:
            self._bad_since = now.steady if self._bad_since is None else self._bad_since
            self._why_bad_now = bad
        if reason is None:
            self._bad_since = None
            if self.pose is not None and was_alive:
                self._measure_jump(self.pose, pose)
            self.pose = pose
        return reason

    def check(self, now: Now) -> Check:
        return self.watchdog.check(now)

    def check_content(self, now: Now) -> Check:
        bad_s = 0.0 if self._bad_since is None else now.steady - self._bad_since
        message = f"poses have been bad for {bad_s:.3f} s, limit {BAD_POSES_S:g} s"
        message += f": {self._why_bad_now}" if bad_s else ""
        return Check("pose_content", bad_s <= BAD_POSES_S, bad_s, BAD_POSES_S, message)

    def forget(self, why: str) -> None:
        self.watchdog.forget(why)
        self.pose = None

    def check_jump(self) -> Check:
        """Judges the poses since the last call."""
        check = Check("pose_jump", self._jump <= 1.0, self._jump, 1.0, self._jump_message)
        self._jump, self._jump_message = 0.0, "no jump"
        return check

    def _measure_jump(self, before: Pose, after: Pose) -> None:
        seconds = after.stamp - before.stamp
        metres = float(np.linalg.norm(after.position - before.position))
        conjugate = before.quaternion * np.array([1.0, -1.0, -1.0, -1.0])
        turn = to_rotation_vector(multiply(after.quaternion, conjugate))
        radians = float(np.linalg.norm(turn))
        allowed_s = max(seconds, JUMP_FLOOR_S)
        limit_m = 2 * self.config.max_linear_speed * allowed_s
        limit_rad = 2 * self.config.max_angular_speed * allowed_s
        jump = max(metres / limit_m, radians / limit_rad)
        if jump > self._jump:
            self._jump = jump
            self._jump_message = (
                f"pose moved {metres:.4f} m and {radians:.3f} rad in {seconds:.3f} s, "
                f"limit {limit_m:.4f} m and {limit_rad:.3f} rad"
            )


def why_bad(pose: Pose, frame: str) -> str | None:
    """Why a pose cannot be used where it should be in this frame; None if it can."""
    if pose.frame != frame:
        return f"its frame is {pose.frame!r}, expected {frame!r}"
    if not (np.isfinite(pose.position).all() and np.isfinite(pose.quaternion).all()):
        return "it is not finite"
    norm = float(np.linalg.norm(pose.quaternion))
    if abs(norm - 1.0) > QUATERNION_TOLERANCE:
        return f"its quaternion has norm {norm:.4f}, not 1"
    return None
