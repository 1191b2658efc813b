"""Small stand-ins around a real gate and a real simulated arm, to try faults on the running system.

    python -m whale_ros.nodes.fault_players ROLE FOLDER

Roles: `world_model` judges every image as familiar; `planner` approves ways to and fro; `estop`
says that it is not pressed, or is; `clock` tells simulated time, which may jump or stand still;
`recorder` writes down what the arm is commanded and where it is, `commands` and `positions` one of
these; `relay` see `fault_relay`. Some take orders on
their standard input. Each appends what it does to FOLDER/ROLE.jsonl, see `whale_ros.faults.judge`.
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import rclpy
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy._rclpy_pybind11 import RCLError
from rclpy.clock import Clock as SteadyClock
from rclpy.clock import ClockType
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.subscription import Subscription
from rosgraph_msgs.msg import Clock as ClockMessage
from sensor_msgs.msg import Image
from std_msgs.msg import Bool

from whale_ros.actions.space import ActionSpace
from whale_ros.faults.judge import EventLog
from whale_ros.msg import ApprovedChunk, Uncertainty
from whale_ros.nodes.commands import twist_array
from whale_ros.nodes.lean_node import LeanNode
from whale_ros.nodes.polled import Polled, take_all
from whale_ros.nodes.sequences import seconds
from whale_ros.nodes.serialized_image import stamp_of

NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
ALL = QoSProfile(depth=500, reliability=ReliabilityPolicy.RELIABLE)
ALL_BEST_EFFORT = QoSProfile(depth=500, reliability=ReliabilityPolicy.BEST_EFFORT)
RELAYED = "relayed/"
CLOCK_HZ = 200
NEAR = np.array([-0.2, 0.5, 0.12]), np.array([0.2, 0.8, 0.3])  # where the planner goes
PLAN_EVERY_S = 0.4
SPEED = 0.1


class WorldModel(LeanNode):
    def __init__(self, _log: EventLog) -> None:
        super().__init__("world_model")
        self._out = self.create_publisher(Uncertainty, "world_model/uncertainty", NEWEST)
        self.create_subscription(Image, "camera/image", self._judge, NEWEST, raw=True)

    def _judge(self, serialized: bytes) -> None:
        message = Uncertainty(ready=True, uncertainty=float(np.random.uniform(0.05, 0.4)))
        message.threshold, message.familiarity_threshold = 0.5, 0.3
        message.familiarity_error, message.checkpoint = 0.1, "abc"
        message.took_part = 15
        stamp = stamp_of(serialized)
        message.header.stamp = Time(sec=int(stamp), nanosec=int(stamp % 1 * 1e9))
        self._out.publish(message)


class Planner(LeanNode):
    def __init__(self, _log: EventLog) -> None:
        super().__init__("planner")
        self._session, self._sequence = uuid.uuid4().hex, 0
        self._position: np.ndarray | None = None
        self._target = np.array([0.0, 0.6, 0.2])
        self._out = self.create_publisher(ApprovedChunk, "approved_chunk", RELIABLE)
        self.create_subscription(PoseStamped, "ee_pose", self._on_pose, NEWEST)
        self.create_timer(PLAN_EVERY_S, self._plan)

    def _on_pose(self, message: PoseStamped) -> None:
        at = message.pose.position
        self._position = np.array([at.x, at.y, at.z])

    def _plan(self) -> None:
        now = self.get_clock().now().nanoseconds * 1e-9
        if self._position is None or not now:
            return
        while np.linalg.norm(self._target - self._position) < 0.05:
            self._target = np.random.uniform(*NEAR)
        way = self._target - self._position
        step = way / np.linalg.norm(way) * min(SPEED * 0.2, float(np.linalg.norm(way)) / 5)
        self._sequence += 1
        actions = np.tile([*step, 0, 0, 0, 0], (5, 1))
        message = chunk(actions, self._session, self._sequence, now)
        self._out.publish(message)


def chunk(actions: np.ndarray, session: str, sequence: int, now: float) -> ApprovedChunk:
    """Of actions (H, 7), approved now [ROS s]."""
    stamp = Time(sec=int(now), nanosec=int(now % 1 * 1e9))
    message = ApprovedChunk(session=session, sequence=sequence, checkpoint="abc")
    message.uncertainty, message.threshold = 0.2, 0.5
    message.header.stamp = stamp
    message.expiry = Time(sec=stamp.sec + 1, nanosec=stamp.nanosec)
    inner = message.actions
    inner.header.stamp, inner.header.frame_id = stamp, "base"
    inner.id, inner.action_space = f"chunk {sequence}", ActionSpace().signature
    inner.step_duration = Duration(nanosec=200_000_000)
    inner.horizon, inner.dim = actions.shape
    inner.actions = array.array("f", actions.astype(np.float32).ravel())
    return message


def approval(message: ApprovedChunk, source: str) -> dict:
    """What the oracle must know of a chunk that may move the arm."""
    actions = np.array(message.actions.actions).reshape(-1, 7)
    return {
        "start": seconds(message.actions.header.stamp),
        "expiry": seconds(message.expiry),
        "step_s": seconds(message.actions.step_duration),
        "twists": (actions[:, :6] / seconds(message.actions.step_duration)).tolist(),
        "source": source,
    }


class EStop(LeanNode):
    def __init__(self, log: EventLog) -> None:
        super().__init__("estop")
        self._out = self.create_publisher(Bool, "estop", RELIABLE)
        self._log = log
        self._pressed = False
        self.create_timer(0.02, self._tell)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in sys.stdin:
            self._pressed = json.loads(line)["kind"] == "press"
            if self._pressed:
                self._log.write(time.time(), "demand", {"latches": True, "within_s": 0.05})
                self._tell()

    def _tell(self) -> None:
        self._out.publish(Bool(data=self._pressed))
        self._log.write(time.time(), "estop")


class Clock(LeanNode):
    """Order: {"kind": "jump", "by": seconds} or {"kind": "stop", "for": seconds}, with a demand."""

    def __init__(self, log: EventLog) -> None:
        super().__init__("fault_clock")
        self._log = log
        self._out = self.create_publisher(ClockMessage, "/clock", NEWEST)
        self._offset = self._stopped_until = 0.0
        self._told = time.time()
        threading.Thread(target=self._listen, daemon=True).start()
        threading.Thread(target=self._tell, daemon=True).start()

    def _listen(self) -> None:
        for line in sys.stdin:
            order = json.loads(line)
            now = time.time()
            if order["kind"] == "jump":
                self._offset += order["by"]
            else:
                self._stopped_until = now + order["for"]
            self._log.write(now, "demand", order["demand"])

    def _tell(self) -> None:
        """In a thread of its own, as steadily as one can."""
        while self.context.ok():
            time.sleep(1 / CLOCK_HZ)
            now = time.time()
            if now < self._stopped_until:
                self._offset -= now - self._told  # it goes on where it stood
            self._told = now
            ros = now + self._offset
            stamp = Time(sec=int(ros), nanosec=int(ros % 1 * 1e9))
            with contextlib.suppress(RCLError):  # at the end
                self._out.publish(ClockMessage(clock=stamp))


class Recorder(LeanNode):
    def __init__(self, log: EventLog, commands: bool = True, positions: bool = True) -> None:
        super().__init__("fault_recorder")
        self._log = log
        self._simulated = self.get_parameter("use_sim_time").value
        self._taken: dict[Callable, Subscription] = {}
        group = Polled()
        for wanted, kind, topic, note, qos in (
            (commands, TwistStamped, "arm/twist_command", self._note_command, ALL),
            (positions, PoseStamped, "ee_pose", self._note_position, ALL_BEST_EFFORT),
        ):
            if wanted:
                self._taken[note] = self.create_subscription(
                    kind, topic, lambda _: None, qos, callback_group=group
                )
        self.create_timer(0.05, self._take, clock=SteadyClock(clock_type=ClockType.STEADY_TIME))

    def _take(self) -> None:
        """By the time at which the middleware received them: this process is late when it is busy.

        When they were sent is better still, but simulated time stands still or jumps.
        """
        for received, note, message, _ in take_all(self._taken):
            arrived = received * 1e-9 or time.time()  # not every middleware tells
            stamp = seconds(message.header.stamp)
            note(arrived if self._simulated else stamp, message, stamp, arrived)

    def _note_command(self, at: float, message: TwistStamped, stamp: float, arrived: float) -> None:
        self._log.write(at, "command", twist_array(message.twist).tolist(), stamp, arrived)

    def _note_position(self, at: float, message: PoseStamped, *_: float) -> None:
        p = message.pose.position
        self._log.write(at, "position", [p.x, p.y, p.z])


ROLES: dict[str, Callable[[EventLog], Node]] = {
    "world_model": WorldModel,
    "planner": Planner,
    "estop": EStop,
    "clock": Clock,
    "recorder": Recorder,
    "commands": partial(Recorder, positions=False),
    "positions": partial(Recorder, commands=False),
}


def main() -> None:
    run(ROLES)


def run(roles: Mapping[str, Callable[[EventLog], Node]]) -> None:
    """The one that the command line names."""
    role, folder = sys.argv[1:3]
    with contextlib.suppress(OSError):  # what is on trial is the gate, not these
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    rclpy.init(args=sys.argv)
    node = roles[role](EventLog(Path(folder) / f"{role}.jsonl"))
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(node)
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()
