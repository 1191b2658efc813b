"""Node `demo_recorder`: demonstrations into bags, episode after episode, watched while made.

Messages in, `whale_ros.data.recording_session` writes; what is on disk is told in
`whale_ros.data.recording`.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.clock import Clock, ClockType
from rclpy.executors import ExternalShutdownException
from rclpy.parameter import Parameter as RosParameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_srvs.srv import SetBool, Trigger

from whale_ros.data.bag_writer import Topic
from whale_ros.data.images import COLOURED
from whale_ros.data.recording import ROLES, Recording, needed_roles, unfinished
from whale_ros.data.recording_checks import Limits, RecordingChecks
from whale_ros.data.recording_session import RecordingSession, Refused, State
from whale_ros.memory import keep_freed_memory
from whale_ros.msg import Check, RecorderStatus
from whale_ros.nodes.lean_node import LeanNode
from whale_ros.nodes.parameters import BadParameter, declare, refuse
from whale_ros.nodes.recorded_topics import RecordedTopics
from whale_ros.nodes.recorder_parameters import PARAMETERS, why_contradictory
from whale_ros.nodes.sequences import action_space
from whale_ros.nodes.serialized_image import (
    frame_of,
    picture_of,
    pixels_of_compressed,
    position_of,
    stamp_of,
)

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
IN_BASE_FRAME = {  # and what to do if it is not
    "pose": "correct base_frame, or take another topic",
    "command": "let the arm be told in that frame, or set action_source to pose_differences",
}
TAKE_S = 0.05
LOOK_S = 0.5
STORED = (
    "robot", "task", "action_source", "base_frame", "command_type", "command_timeout_s",
    "gripper_open", "gripper_closed", "gripper_joint",
)  # fmt: skip


class DemoRecorder(LeanNode):
    def __init__(self) -> None:
        """Raises BadParameter."""
        super().__init__("demo_recorder")
        self._values = values = declare(self, PARAMETERS, why_refused=why_contradictory)
        self._checks = RecordingChecks(
            Limits(
                values["camera_period_s"],
                values["min_pose_rate_hz"],
                values["max_skew_s"],
                values["disk_floor_gb"],
            )
        )
        folder = Path(values["folder"]).expanduser().absolute()
        try:
            self._session = RecordingSession(folder, self._checks, values["disk_floor_gb"])
        except OSError as error:
            raise BadParameter(f"parameter 'folder': {error}") from error
        names = {role: values[f"{role}_topic"] for role in ROLES if values[f"{role}_topic"]}
        roles = {self.resolve_topic_name(name) for name in names.values()}
        extra = {self.resolve_topic_name(name) for name in values["extra_topics"] if name}
        names |= {name: name for name in sorted(extra - roles)}
        self._topics = RecordedTopics(self, names, values["command_type"], self._on_message)

        self._encoding = COLOURED[0]  # of the last picture; a compressed one has none
        self._frames: dict[str, str] = {}  # of the last pose and command
        steady = Clock(clock_type=ClockType.STEADY_TIME)  # simulated time may stand still
        self._statuses = self.create_publisher(RecorderStatus, "~/status", LATCHED)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_service(Trigger, "~/start", self._answer(lambda _: self._start()))
        self.create_service(Trigger, "~/stop", self._answer(lambda _: self._stop()))
        self.create_service(SetBool, "~/keep", self._answer(lambda asked: self._keep(asked.data)))
        self.create_service(Trigger, "~/discard", self._answer(lambda _: self._discard()))
        self.create_timer(TAKE_S, self._topics.take, clock=steady)
        self.create_timer(LOOK_S, self._look, clock=steady)
        left = unfinished(folder)
        earlier = f"; not finished, of an earlier run: {', '.join(left)}" if left else ""
        self._seen, _ = self._session.look(time.monotonic())
        self._tell(f"episodes go to {folder}{earlier}")

    # What comes

    def _on_message(
        self, key: str, topic: Topic, message: bytes, sent: int, received: int, steady_s: float
    ) -> None:
        stamp_s = self._watch(key, topic, message)
        self._checks.feed(key, topic, steady_s, stamp_s, len(message))
        self._session.write(topic, received, sent, message)

    def _watch(self, key: str, topic: Topic, message: bytes) -> float | None:
        """The stamp of the header [s], if there is one."""
        if not topic.has_header:
            return None
        try:
            stamp_s = stamp_of(message)
            if key == "camera":
                if topic.type == "sensor_msgs/msg/Image":
                    picture = picture_of(message)
                    self._encoding, pixels = picture.encoding, picture.pixels
                else:
                    pixels = pixels_of_compressed(message)
                self._checks.feed_picture(stamp_s, pixels)
            elif key in IN_BASE_FRAME:
                self._frames[key] = frame_of(message)
            if key == "pose":
                self._checks.feed_pose(stamp_s, np.array(position_of(message)))
        except ValueError as error:
            self.get_logger().warning(f"{key}: {error}", throttle_duration_sec=2.0)
            return None
        return stamp_s

    # What is asked

    def _start(self) -> str:
        self._topics.look()
        if self._session.state == State.IDLE and (why := self._why_not_ready()):
            raise Refused(why)
        values, topics = self._values, self._topics.topics
        recording = Recording(
            episode="",
            topics={key: topic.name for key, topic in topics.items() if key in ROLES},
            extra_topics=[topic.name for key, topic in topics.items() if key not in ROLES],
            action_space=action_space(values).to_dict(),
            **{name: values[name] for name in STORED},
            began=self.get_clock().now().nanoseconds * 1e-9,
            versions=_versions(),
        )
        recording = self._session.start(time.monotonic(), recording)
        now = self.get_clock().now().nanoseconds
        for key, message, sent in self._topics.before():
            self._session.write(topics[key], now, sent, message)
        absent = [self._topics.why_missing(key) for key in self._topics.names]
        without = "; ".join(why for why in absent if why)
        return f"{recording.episode} begins" + (f"; without it: {without}" if without else "")

    def _why_not_ready(self) -> str:
        """What a recording needs and does not have, by name; empty if nothing."""
        needed = needed_roles(self._values["action_source"])
        missing = [self._topics.why_missing(key) for key in needed if key in self._topics.names]
        silent = [
            self._topics.why_silent(key)
            for key in ("camera", "pose")
            if self._checks.is_silent(key, time.monotonic())
        ]
        if why := "; ".join(why for why in missing if why) or "; ".join(silent):
            return why
        if self._encoding not in COLOURED:
            return (
                f"pictures of {self._topics.topics['camera'].name} are {self._encoding}, of which "
                f"no episode can be made; let the driver, or image_proc, make one of {COLOURED}"
            )
        for key in set(needed) & self._frames.keys():
            if (frame := self._frames[key]) != self._values["base_frame"]:
                return (
                    f"{self._topics.topics[key].name} is in the frame {frame!r}, base_frame is "
                    f"{self._values['base_frame']!r}: no episode can be made; {IN_BASE_FRAME[key]}"
                )
        return ""

    def _stop(self) -> str:
        self._session.stop(time.monotonic(), "operator")
        assert self._session.recording
        return f"{self._session.recording.episode} waits: keep it, or discard it"

    def _keep(self, success: bool) -> str:
        recording = self._session.keep(time.monotonic(), success, self._values["note"])
        self.set_parameters([RosParameter("note", value="")])
        text = f"{recording.episode} is kept, a {'success' if success else 'failure'}"
        bad = "; ".join(check["message"] for check in recording.checks if not check["ok"])
        return text + (f"; but {bad}" if bad else "")

    def _discard(self) -> str:
        return f"{self._session.discard(time.monotonic())} is discarded"

    def _answer(self, act: Callable[[Any], str]) -> Callable:
        def answer(request: Any, response: Any) -> Any:
            self._topics.take()  # what came before is not after
            try:
                response.message, response.success = act(request), True
            except (Refused, OSError) as error:
                response.message, response.success = str(error), False
            self._tell(response.message)
            return response

        return answer

    # What is told

    def _look(self) -> None:
        self._topics.look()
        self._seen, ended = self._session.look(time.monotonic())
        if ended:
            self._tell(ended)
        else:
            self._publish()

    def _tell(self, message: str) -> None:
        self._message = message
        self.get_logger().info(message)
        self._publish()

    def _publish(self) -> None:
        session = self._session
        status = RecorderStatus(
            state=session.state.value,
            episode=session.recording.episode if session.recording else "",
            message=self._message,
            duration_s=session.duration_s if session.recording else 0.0,
            messages=self._checks.total if session.recording else 0,
            kept=session.kept,
            checks=[
                Check(name=check.name, ok=check.ok, value=float(check.value),
                      threshold=float(check.threshold), message=check.message)
                for check in self._seen
            ],
        )  # fmt: skip
        status.header.stamp = self.get_clock().now().to_msg()
        self._statuses.publish(status)
        array = DiagnosticArray()
        array.header.stamp = status.header.stamp
        name = self.get_fully_qualified_name().lstrip("/")
        array.status = [
            DiagnosticStatus(
                name=f"{name}: {check.name}",
                level=DiagnosticStatus.OK if check.ok else DiagnosticStatus.ERROR,
                message=check.message,
                values=[
                    KeyValue(key="value", value=f"{check.value:g}"),
                    KeyValue(key="threshold", value=f"{check.threshold:g}"),
                ],
            )
            for check in self._seen
        ]
        self._diagnostics.publish(array)

    def close(self) -> None:
        """What is being recorded stays, whole, for a person to look at."""
        if self._session.state == State.RECORDING:
            self._session.stop(time.monotonic(), "end of the recorder")
        self.destroy_node()


def _versions() -> dict[str, str]:
    versions = {"ros": os.environ.get("ROS_DISTRO", "")}
    for package in ("whale_ros", "mcap"):
        with contextlib.suppress(PackageNotFoundError):
            versions[package] = version(package)
    return versions


def main() -> None:
    keep_freed_memory()  # pictures come and go
    rclpy.init()
    try:
        node = DemoRecorder()
    except BadParameter as error:
        refuse("demo_recorder", error)
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        node.close()
        rclpy.try_shutdown()
