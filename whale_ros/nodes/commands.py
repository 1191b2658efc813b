"""Commands to the arm as numbers: twists, and poses as the twists between them."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import PoseStamped, Twist

from whale_ros.actions.composition import multiply, to_rotation_vector
from whale_ros.nodes.sequences import seconds


def twist_array(twist: Twist) -> np.ndarray:
    """(6,) linear [m/s] and angular [rad/s] velocity."""
    v, w = twist.linear, twist.angular
    return np.array([v.x, v.y, v.z, w.x, w.y, w.z])


class PoseDifferences:
    """Turns successive pose commands into the velocities that they amount to."""

    def __init__(self) -> None:
        self._last: tuple[float, np.ndarray, np.ndarray] | None = None

    def twist(self, message: PoseStamped) -> tuple[float, np.ndarray] | None:
        """Stamp of the previous command [s] and twist (6,) since then; None for the first one."""
        p, q, stamp = message.pose.position, message.pose.orientation, message.header.stamp
        now = (
            seconds(stamp),
            np.array([p.x, p.y, p.z]),
            np.array([q.w, q.x, q.y, q.z]),
        )
        last, self._last = self._last, now
        if last is None or now[0] <= last[0]:
            return None
        turn = multiply(now[2], last[2] * np.array([1, -1, -1, -1]))
        moved = np.concatenate([now[1] - last[1], to_rotation_vector(turn)])
        return last[0], moved / (now[0] - last[0])
