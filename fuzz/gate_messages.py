"""What the gate is told by messages: whatever they say, an arm that moves keeps to the rules."""

from __future__ import annotations

import struct
from typing import Any

from geometry_msgs.msg import PoseStamped
from rclpy.serialization import serialize_message
from rclpy.time import Time

from fuzz.draw import Draw
from fuzz.gate import EPOCH, Rig
from fuzz.messages import read_message
from whale_ros.msg import ApprovedChunk, Uncertainty
from whale_ros.nodes.gate_messages import to_chunk, to_heartbeat, to_pose
from whale_ros.nodes.sequences import to_message
from whale_ros.nodes.serialized_image import position_of

NOW = EPOCH + 0.1  # when the message comes


def approved_chunk(data: bytes) -> None:
    message = read_message(data, ApprovedChunk)
    if message is None:
        return
    rig = _rig()
    rig.approve(to_chunk(message))
    _go_on(rig)


def uncertainty(data: bytes) -> None:
    message = read_message(data, Uncertainty)
    if message is None:
        return
    rig = _moving("heartbeat")
    rig.judge(to_heartbeat(message))
    _go_on(rig)


def pose(data: bytes) -> None:
    """And the recorder's reader of serialized poses, against the one of ROS."""
    try:
        position = position_of(data)
    except ValueError:
        position = None
    message = read_message(data, PoseStamped)
    if message is None:
        return
    p = message.pose.position
    assert position is None or struct.pack("<ddd", *position) == struct.pack("<ddd", p.x, p.y, p.z)
    rig = _moving("pose")
    rig.feel(to_pose(message))
    _go_on(rig)


def _rig() -> Rig:
    """A gate that waits for a chunk."""
    rig = Rig(Draw(b""))
    while rig.now.ros < NOW - 1e-6:
        rig.cycle()
    return rig


def _moving(silent: str) -> Rig:
    rig = _rig()
    rig.approve(rig.good_chunk([[0.02, 0.0, 0.01, 0.0, 0.0, 0.0, 0.5]] * 3))
    rig.cycle()
    assert rig.position[0] > 0, "it does not move at all"
    rig.silent = {silent}
    return rig


def _go_on(rig: Rig) -> None:
    for _ in range(6):
        rig.cycle()


# ---- where to begin


def approved_chunks() -> list[bytes]:
    rig = _rig()
    message: Any = ApprovedChunk(
        session="s", sequence=1, uncertainty=0.2, threshold=0.5, checkpoint="abc"
    )
    message.header.stamp = Time(seconds=NOW).to_msg()
    message.expiry = Time(seconds=NOW + 1).to_msg()
    space = rig.config.action_space
    made = rig.good_chunk([[0.03, 0.0, 0.0, 0.0, 0.05, 0.0, 1.0]] * 3)
    message.actions = to_message(made.actions, "a", NOW, space, "base")
    return [serialize_message(message)]


def uncertainties() -> list[bytes]:
    message: Any = Uncertainty(
        ready=True, uncertainty=0.1, threshold=0.5, familiarity_error=0.1,
        familiarity_threshold=0.3, took_part=1, checkpoint="abc", message="m",
    )  # fmt: skip
    message.header.stamp = Time(seconds=NOW).to_msg()
    return [serialize_message(message)]


def poses() -> list[bytes]:
    message: Any = PoseStamped()
    message.header.stamp, message.header.frame_id = Time(seconds=NOW).to_msg(), "base"
    at = message.pose.position
    at.x, at.y, at.z, message.pose.orientation.w = 0.0, 0.6, 0.2, 1.0
    return [serialize_message(message)]
