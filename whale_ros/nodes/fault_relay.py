"""A relay between robot, world model and planner on one side and the gate on the other, that spoils
messages as it is told on its standard input.

    python -m whale_ros.nodes.fault_relay relay FOLDER
"""

from __future__ import annotations

import copy
import json
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from builtin_interfaces.msg import Time
from geometry_msgs.msg import PoseStamped
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import Image

from whale_ros.faults.judge import EventLog
from whale_ros.msg import ApprovedChunk, Uncertainty
from whale_ros.nodes.fault_players import NEWEST, RELAYED, RELIABLE, approval, run
from whale_ros.nodes.lean_node import LeanNode
from whale_ros.nodes.sequences import seconds

STREAMS = {  # type, topic, QoS
    "camera": (Image, "camera/image", NEWEST),
    "pose": (PoseStamped, "ee_pose", NEWEST),
    "heartbeat": (Uncertainty, "world_model/uncertainty", NEWEST),
    "chunk": (ApprovedChunk, "approved_chunk", RELIABLE),
}
FROZEN_M = 0.025  # a hand that moved so far must have changed the picture
MOVED_M = 0.001  # from one picture that counts to the next
TWICE_APART_S = 0.05


class Relay(LeanNode):
    """Hands messages on, spoiled as the newest order for their stream says.

    An order: {"fault": ..., "stream": ..., "kind": ..., ...}; "demand" says what is due from the
    first spoiled message on, as `Oracle.must_hold` takes it. {"kind": "none", "fault": ...} ends
    what was ordered for a fault. An order for the stream `network` drops from all of them.
    """

    def __init__(self, log: EventLog) -> None:
        super().__init__("fault_relay")
        self._log = log
        self._simulated = self.get_parameter("use_sim_time").value
        self._orders: dict[str, dict[str, Any]] = {}
        self._late: list[tuple[float, str, Any]] = []
        self._first: dict[str, Any] = {}  # what is repeated
        self._hand = np.zeros(3)
        self._out = {}
        for stream, (kind, topic, qos) in STREAMS.items():
            self._out[stream] = self.create_publisher(kind, RELAYED + topic, qos)
            self.create_subscription(kind, topic, self._relay(stream), qos, raw=True)
        self.create_timer(0.02, self._send_late)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in sys.stdin:
            order = json.loads(line)
            if order["kind"] == "none":
                self._orders = {
                    s: other
                    for s, other in self._orders.items()
                    if other["fault"] != order["fault"]
                }
                self._first = {s: m for s, m in self._first.items() if s in self._orders}
            else:
                self._orders = self._orders | {order["stream"]: order}

    def _relay(self, stream: str) -> Callable[[bytes], None]:
        def relay(serialized: bytes) -> None:
            now = time.time()
            if stream == "chunk":
                message = deserialize_message(serialized, ApprovedChunk)
                at = now if self._simulated else seconds(message.header.stamp)
                self._log.write(at, "approved", approval(message, "planner"))
            network, order = self._orders.get("network"), self._orders.get(stream)
            if network and np.random.random() < network["share"]:
                if network["alive"] and stream != "chunk":
                    self._log.write(now, "heard", stream)
                return
            if stream == "pose":
                at = deserialize_message(serialized, PoseStamped).pose.position
                self._hand = np.array([at.x, at.y, at.z])
            if order is None:
                self._out[stream].publish(serialized)
                if stream != "chunk" and (stream != "heartbeat" or _is_ready(serialized)):
                    self._log.write(now, "heard", stream)
                return
            message = deserialize_message(serialized, STREAMS[stream][0])
            sent = self._spoil(stream, order, message)
            if sent is not None:
                self._out[stream].publish(sent)
            if order.get("alive") and stream != "chunk":
                self._log.write(now, "heard", stream)
            if "demand" in order and self._is_plain(stream, order, message):
                self._log.write(now, "demand", order.pop("demand"))

        return relay

    def _is_plain(self, stream: str, order: dict[str, Any], message: Any) -> bool:
        """Whether the fault can be noticed: of a picture that repeats while the hand moves, when it
        came five times and the hand went a way."""
        if order["kind"] != "repeat":
            return True
        moved = float(np.linalg.norm(self._hand - order.setdefault("at", self._hand)))
        if moved > MOVED_M:
            order["repeats"] = order.get("repeats", 0) + 1
            order["way"] = order.get("way", 0.0) + moved
            order["at"] = self._hand
        return order.get("repeats", 0) >= 5 and order["way"] > FROZEN_M

    def _spoil(self, stream: str, order: dict[str, Any], message: Any) -> Any:
        """The message to send instead; None for none."""
        kind = order["kind"]
        if kind == "drop":
            return None
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
        if kind == "twice":  # apart, or a queue of one would hold the second only
            self._late.append((time.monotonic() + TWICE_APART_S, stream, message))
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
        now, network = time.monotonic(), self._orders.get("network")
        for _, stream, message in [late for late in self._late if late[0] <= now]:
            if not network or np.random.random() >= network["share"]:
                self._out[stream].publish(message)
        self._late = [late for late in self._late if late[0] > now]


def _is_ready(serialized: bytes) -> bool:
    """Whether a world model that lives can judge anything."""
    return deserialize_message(serialized, Uncertainty).ready


if __name__ == "__main__":
    run({"relay": Relay})
