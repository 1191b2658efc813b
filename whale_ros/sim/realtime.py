"""Run a simulated arm in real time, with a dead-man of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np
from transforms3d.quaternions import qinverse, qmult

from whale_ros.actions.composition import to_rotation_vector
from whale_ros.sim.driving import STEP_S
from whale_ros.sim.robots import Arm

MAX_SPEED_M_S = 0.25
MAX_TURN_RAD_S = 0.5
APPROACH_PER_S = 10.0  # share of the way to a commanded pose that is covered per second
MAX_BACKLOG_S = 0.1  # when the machine stalls for longer, simulated time stands still


class RealTimeArm:
    """Physics of an arm on the steady clock. Commands may come from any thread.

    The last command counts until it is `command_timeout_s` old; then the arm stands still,
    whatever else in the process is stuck, because the loop itself looks at the age.
    """

    def __init__(self, arm: Arm, command_timeout_s: float) -> None:
        self.arm = arm
        self.lock = threading.Lock()  # held during each step and reset
        self.state_at_s = time.monotonic()  # the moment that the arm's present state belongs to
        self._command_timeout_s = command_timeout_s
        self._velocity: Callable[[], np.ndarray] = _stand_still
        self._commanded_at = -np.inf
        self._gripper = 0.0

    def run(self, after_step: Callable[[int], None], running: Callable[[], bool]) -> None:
        """Step until `running()` is false; `after_step(count)` is called after each, unlocked."""
        due, count = time.monotonic(), 0
        while running():
            wait = due - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            elif wait < -MAX_BACKLOG_S:
                due -= wait
            with self.lock:
                self.arm.step(self._present_velocity(), self._gripper)
                self.state_at_s = due
            due += STEP_S
            count += 1
            after_step(count)

    def drive(self, twist: np.ndarray) -> None:
        """Move with a twist (6,), linear [m/s] and angular [rad/s], in the base frame."""
        limited = _limited(np.array(twist, float))
        self._obey(lambda: limited)

    def approach(self, position: np.ndarray, quaternion: np.ndarray) -> None:
        """Move towards a pose: (3,) in the base frame [m], unit quaternion (w, x, y, z)."""
        self._obey(lambda: self._velocity_to(position, quaternion))

    def grip(self, closing: float) -> None:
        """Command the gripper, 0 open .. 1 closed. Holds until the next command."""
        self._gripper = float(np.clip(closing, 0, 1))

    def reset(self, task: str, seed: int) -> None:
        """Start a task anew, at rest with the gripper open. Raises ValueError, see SimArm."""
        with self.lock:
            self._commanded_at = -np.inf
            self._gripper = 0.0
            self.arm.reset(task, seed)

    def put_in_the_way(self, edge_m: float) -> None:
        """Put a box between hand and target. Raises ValueError, see SimArm."""
        with self.lock:
            self.arm.put_in_the_way(edge_m)

    def clear_the_way(self) -> None:
        with self.lock:
            self.arm.intruder.take_away()

    def _obey(self, velocity: Callable[[], np.ndarray]) -> None:
        with self.lock:
            self._velocity, self._commanded_at = velocity, time.monotonic()

    def _present_velocity(self) -> np.ndarray:
        if time.monotonic() - self._commanded_at > self._command_timeout_s:
            return _stand_still()
        return self._velocity()

    def _velocity_to(self, position: np.ndarray, quaternion: np.ndarray) -> np.ndarray:
        way = position - self.arm.hand_position
        turn = to_rotation_vector(qmult(quaternion, qinverse(self.arm.hand_quaternion)))
        return _limited(APPROACH_PER_S * np.concatenate([way, turn]))


def _stand_still() -> np.ndarray:
    return np.zeros(6)


def _limited(twist: np.ndarray) -> np.ndarray:
    """The arm's own speed limit, as in a driver."""
    for part, limit in ((twist[:3], MAX_SPEED_M_S), (twist[3:], MAX_TURN_RAD_S)):
        part *= min(1.0, limit / max(float(np.linalg.norm(part)), 1e-12))
    return twist
