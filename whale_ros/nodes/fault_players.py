"""Small stand-ins around a real gate and a real simulated arm, to try faults on the running system.

    python -m whale_ros.nodes.fault_players ROLE FOLDER

Roles: `relay` stands between the robot and the gate and spoils messages as it is told on its
standard input; `world_model` judges every image as familiar; `planner` approves ways to and fro;
`estop` says that it is not pressed, or is; `recorder` writes down what the arm is commanded. Each
appends what it does to FOLDER/ROLE.jsonl, see `whale_ros.faults.judge`.
"""

from __future__ import annotations

import array
import contextlib
import copy
import json
import os
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.executors import ExternalShutdownException
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image
from std_msgs.msg import Bool

from whale_ros.actions.space import ActionSpace
from whale_ros.faults.judge import EventLog
from whale_ros.msg import ApprovedChunk, Uncertainty
from whale_ros.nodes.commands import twist_array
from whale_ros.nodes.lean_node import LeanNode
from whale_ros.nodes.sequences import seconds
from whale_ros.nodes.serialized_image import stamp_of

NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
RELIABLE = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
ALL = QoSProfile(depth=500, reliability=ReliabilityPolicy.RELIABLE)
RELAYED = "relayed/"
STREAMS = {  # of the relay: type, topic, QoS
    "camera": (Image, "camera/image", NEWEST),
    "pose": (PoseStamped, "ee_pose", NEWEST),
    "heartbeat": (Uncertainty, "world_model/uncertainty", NEWEST),
    "chunk": (ApprovedChunk, "approved_chunk", RELIABLE),
}
NEAR = np.array([-0.2, 0.5, 0.12]), np.array([0.2, 0.8, 0.3])  # where the planner goes
PLAN_EVERY_S = 0.4
SPEED = 0.1


class Relay(LeanNode):
    """Hands messages on, spoiled as the newest order for their stream says.

    An order: {"stream": ..., "kind": ..., ...}; "demand" says what is due from its `count`th
    spoiled message on, as `Oracle.must_hold` takes it. {"kind": "none"} ends all.
    """

    def __init__(self, log: EventLog) -> None:
        super().__init__("fault_relay")
        self._log = log
        self._orders: dict[str, dict[str, Any]] = {}
        self._late: list[tuple[float, str, Any]] = []
        self._first: dict[str, Any] = {}  # what is repeated
        self._out = {}
        for stream, (kind, topic, qos) in STREAMS.items():
            self._out[stream] = self.create_publisher(kind, RELAYED + topic, qos)
            self.create_subscription(kind, topic, self._relay(stream), qos, raw=True)
        self.create_timer(0.005, self._send_late)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in sys.stdin:
            order = json.loads(line)
            if order["kind"] == "none":
                self._orders, self._first = {}, {}
            else:
                self._orders = self._orders | {order["stream"]: order}

    def _relay(self, stream: str) -> Callable[[bytes], None]:
        def relay(serialized: bytes) -> None:
            order = self._orders.get(stream)
            now = time.time()
            if order is None:
                self._out[stream].publish(serialized)
                if stream != "chunk":
                    self._log.write(now, "heard", stream)
                return
            message = deserialize_message(serialized, STREAMS[stream][0])
            order["seen"] = order.get("seen", 0) + 1
            sent = self._spoil(stream, order, message)
            if sent is not None:
                self._out[stream].publish(sent)
            if order.get("alive") and stream != "chunk":
                self._log.write(now, "heard", stream)
            if "demand" in order and order["seen"] == order.get("count", 1):
                self._log.write(now, "demand", order["demand"])

        return relay

    def _spoil(self, stream: str, order: dict[str, Any], message: Any) -> Any:
        """The message to send instead; None for none."""
        kind = order["kind"]
        if kind == "drop":
            return message if np.random.random() >= order.get("share", 1.0) else None
        if kind == "delay":
            self._late.append((time.monotonic() + order["seconds"], stream, message))
            return None
        if kind == "repeat":  # the same message with fresh stamps
            first = self._first.setdefault(stream, copy.deepcopy(message))
            first.header.stamp = message.header.stamp
            return first
        if kind == "again":
            for _ in range(order["times"]):
                self._out[stream].publish(message)
            return message
        if kind == "same stamp":
            first = self._first.setdefault(stream, message)
            message.header.stamp = first.header.stamp
        elif kind == "stamp":
            at = time.time() + order["seconds"] if order["seconds"] else 0.0
            message.header.stamp = Time(sec=int(at), nanosec=int(at % 1 * 1e9))
        elif kind == "frame":
            message.header.frame_id = order["frame"]
        elif kind == "nan":
            if stream == "pose":
                message.pose.position.y = float("nan")
            else:
                message.uncertainty = float("nan")
        elif kind == "scale":
            turn = message.pose.orientation
            turn.w, turn.x, turn.y, turn.z = (
                order["by"] * v for v in (turn.w, turn.x, turn.y, turn.z)
            )
        elif kind == "jump":
            message.pose.position.x += order["by"]
        elif kind == "upwards":
            for step in range(message.actions.horizon):
                message.actions.actions[step * message.actions.dim + 2] = order["metres"]
        elif kind == "resize":
            message.height //= 2
            message.data = message.data[: message.height * message.step]
        elif kind == "cut off":
            message.data = message.data[:100]
        elif kind == "unsure":
            message.uncertainty = 1.4
        else:
            raise ValueError(f"unknown kind of fault {kind!r}")
        return message

    def _send_late(self) -> None:
        now = time.monotonic()
        for _, stream, message in [late for late in self._late if late[0] <= now]:
            self._out[stream].publish(message)
        self._late = [late for late in self._late if late[0] > now]


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
    def __init__(self, log: EventLog) -> None:
        super().__init__("planner")
        self._log = log
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
        if self._position is None:
            return
        while np.linalg.norm(self._target - self._position) < 0.05:
            self._target = np.random.uniform(*NEAR)
        way = self._target - self._position
        step = way / np.linalg.norm(way) * min(SPEED * 0.2, float(np.linalg.norm(way)) / 5)
        self._sequence += 1
        message = chunk(np.tile([*step, 0, 0, 0, 0], (5, 1)), self._session, self._sequence)
        self._log.write(*approval(message, "planner"))
        self._out.publish(message)


def chunk(actions: np.ndarray, session: str, sequence: int) -> ApprovedChunk:
    """Of actions (H, 7), approved now."""
    now = time.time()
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


def approval(message: ApprovedChunk, source: str) -> tuple:
    """The event that a chunk was approved: from now on it may move the arm."""
    actions = np.array(message.actions.actions).reshape(-1, 7)
    details = {
        "start": seconds(message.actions.header.stamp),
        "expiry": seconds(message.expiry),
        "step_s": 0.2,
        "twists": (actions[:, :6] / 0.2).tolist(),
        "source": source,
    }
    return seconds(message.header.stamp), "approved", details


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


class Recorder(LeanNode):
    def __init__(self, log: EventLog) -> None:
        super().__init__("fault_recorder")
        self._log = log
        self.create_subscription(TwistStamped, "arm/twist_command", self._on_command, ALL)
        self.create_subscription(PoseStamped, "ee_pose", self._on_pose, NEWEST)

    def _on_command(self, message: TwistStamped) -> None:
        stamp, twist = seconds(message.header.stamp), twist_array(message.twist)
        self._log.write(stamp, "command", twist.tolist(), round(time.time() - stamp, 6))

    def _on_pose(self, message: PoseStamped) -> None:
        at = message.pose.position
        self._log.write(seconds(message.header.stamp), "position", [at.x, at.y, at.z])


ROLES = {
    "relay": Relay,
    "world_model": WorldModel,
    "planner": Planner,
    "estop": EStop,
    "recorder": Recorder,
}


def main() -> None:
    role, folder = sys.argv[1:3]
    with contextlib.suppress(OSError):  # what is on trial is the gate, not these
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    rclpy.init()
    node = ROLES[role](EventLog(Path(folder) / f"{role}.jsonl"))
    with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
        rclpy.spin(node)
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()
