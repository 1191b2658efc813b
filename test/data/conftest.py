"""Bags of an arm that goes exactly as it is told, under a camera that shows picture numbers."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from transforms3d.axangles import axangle2mat
from transforms3d.quaternions import mat2quat

SIZE = 16  # pixels of the camera and of the model
EPOCH_NS = 1_700_000_000 * 10**9


@dataclass
class Drive:
    """Twists and grips hold from their times on until the next one. Quaternions are w x y z."""

    commands: list[tuple[float, np.ndarray, float]] = field(default_factory=list)
    start: np.ndarray = field(default_factory=lambda: np.array([0.1, 0.5, 0.2]))

    def __post_init__(self) -> None:
        self._times = [time for time, *_ in self.commands]
        self._poses = [(self.start, np.eye(3))]  # at the beginning of each command
        for i, (begin, twist, _) in enumerate(self.commands[:-1]):
            self._poses.append(_moved(self._poses[i], twist, self._times[i + 1] - begin))

    def pose(self, time_s: float) -> tuple[np.ndarray, np.ndarray]:
        """Position and rotation matrix."""
        now = bisect_right(self._times, time_s) - 1
        if now < 0:
            return self._poses[0]
        return _moved(self._poses[now], self.commands[now][1], time_s - self._times[now])

    def twist(self, time_s: float) -> np.ndarray:
        now = bisect_right(self._times, time_s) - 1
        return np.zeros(6) if now < 0 else self.commands[now][1]

    def grip(self, time_s: float) -> float:
        now = bisect_right(self._times, time_s) - 1
        return 0.0 if now < 0 else self.commands[now][2]


def _moved(pose: tuple[np.ndarray, np.ndarray], twist: np.ndarray, seconds: float):
    position, rotation = pose
    speed = np.linalg.norm(twist[3:])
    turn = axangle2mat(twist[3:], speed * seconds) if speed > 0 else np.eye(3)
    return position + twist[:3] * seconds, turn @ rotation


@dataclass
class Message:
    """type: as in ROS. received_s: None stands for a millisecond after the stamp."""

    topic: str
    type: str
    stamp_s: float
    content: dict[str, Any]
    received_s: float | None = None

    @property
    def received_ns(self) -> int:
        received_s = self.stamp_s + 0.001 if self.received_s is None else self.received_s
        return EPOCH_NS + round(received_s * 1e9)


class Recorder:
    """What nodes would publish while an arm is driven, as messages and as bags of them."""

    def __init__(self) -> None:
        from rosbags.typesys import Stores, get_typestore

        self.types = get_typestore(Stores.ROS2_JAZZY)

    def picture(self, number: int, stamp_s: float) -> Message:
        pixels = np.zeros((SIZE, SIZE, 3), np.uint8)
        pixels[..., 0], pixels[..., 1] = number // 256, number % 256
        content = {
            "height": SIZE, "width": SIZE, "encoding": "rgb8", "is_bigendian": 0,
            "step": 3 * SIZE, "data": pixels.ravel(),
        }  # fmt: skip
        return Message("/camera/image", "sensor_msgs/msg/Image", stamp_s, content)

    def pose(self, drive: Drive, stamp_s: float) -> Message:
        position, rotation = drive.pose(stamp_s)
        content = {"position": position, "orientation": mat2quat(rotation)}
        return Message("/ee_pose", "geometry_msgs/msg/PoseStamped", stamp_s, content)

    def twist(self, stamp_s: float, twist: np.ndarray) -> Message:
        content = {"linear": twist[:3], "angular": twist[3:]}
        return Message("/arm/twist_command", "geometry_msgs/msg/TwistStamped", stamp_s, content)

    def grip(self, stamp_s: float, grip: float) -> Message:
        return Message("/gripper/command", "std_msgs/msg/Float64", stamp_s, {"data": grip})

    def fingers(self, stamp_s: float, position: float) -> Message:
        return self.joints(stamp_s, gripper=position)

    def joints(self, stamp_s: float, **positions: float) -> Message:
        content = {"position": list(positions.values()), "name": list(positions)}
        return Message("/gripper/state", "sensor_msgs/msg/JointState", stamp_s, content)

    def everything(
        self, drive: Drive, seconds: float, camera_hz=10.0, pose_hz=40.0, twist_hz=50.0
    ) -> list[Message]:
        """Without jitter or loss; twists as the drive's, and repeated in between."""
        messages = [self.picture(i, i / camera_hz) for i in range(round(seconds * camera_hz) + 1)]
        messages += [self.pose(drive, i / pose_hz) for i in range(round(seconds * pose_hz) + 1)]
        times = {i / twist_hz for i in range(round(seconds * twist_hz) + 1)}
        times |= {time for time, *_ in drive.commands}
        messages += [self.twist(time, drive.twist(time)) for time in times]
        messages += [self.grip(time, grip) for time, _, grip in drive.commands]
        return messages

    def serialized(self, message: Message, frame: str = "base") -> bytes:
        t = self.types.types
        ns = EPOCH_NS + round(message.stamp_s * 1e9)
        stamp = t["builtin_interfaces/msg/Time"](sec=ns // 10**9, nanosec=ns % 10**9)
        header = t["std_msgs/msg/Header"](stamp=stamp, frame_id=frame)
        c = message.content

        def vector(type: str, numbers) -> Any:
            return t[type](**dict(zip("xyz", map(float, numbers), strict=True)))

        kind = message.type.split("/")[-1]
        if kind == "Image":
            made = t[message.type](header=header, **c)
        elif kind == "PoseStamped":
            turn = dict(zip("wxyz", map(float, c["orientation"]), strict=True))
            pose = t["geometry_msgs/msg/Pose"](
                position=vector("geometry_msgs/msg/Point", c["position"]),
                orientation=t["geometry_msgs/msg/Quaternion"](**turn),
            )
            made = t[message.type](header=header, pose=pose)
        elif kind == "TwistStamped":
            parts = {k: vector("geometry_msgs/msg/Vector3", c[k]) for k in ("linear", "angular")}
            made = t[message.type](header=header, twist=t["geometry_msgs/msg/Twist"](**parts))
        elif kind == "JointState":
            numbers = {k: np.array(c.get(k, []), float) for k in ("position", "velocity", "effort")}
            made = t[message.type](header=header, name=c["name"], **numbers)
        else:
            made = t[message.type](**c)
        return bytes(self.types.serialize_cdr(made, message.type))

    def record(self, folder: Path, messages: list[Message]) -> Path:
        """With the recorder's own writer."""
        from whale_ros.data.bag_writer import BagWriter, Topic

        folder.mkdir(parents=True)
        writer = BagWriter(folder, folder.name, floor_bytes=0)
        for message in sorted(messages, key=lambda m: m.received_ns):
            definition, _ = self.types.generate_msgdef(message.type, ros_version=2)
            topic = Topic(message.topic, message.type, definition)
            ns = message.received_ns
            writer.write(topic, ns, ns, self.serialized(message))
        writer.close()
        writer.write_metadata()
        return folder


@pytest.fixture(scope="session")
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture(scope="session")
def make_arm():
    """make_arm(commands): a Drive."""
    return Drive


@pytest.fixture
def robot(tmp_path) -> Path:
    """The built-in arm's file, with its topics."""
    source = Path(__file__).resolve().parents[2] / "config/robots/sim.yaml"
    values = yaml.safe_load(source.read_text())["/**"]["ros__parameters"]
    path = tmp_path / "robot.yaml"
    path.write_text(yaml.safe_dump({"/**": {"ros__parameters": values}}))
    return path
