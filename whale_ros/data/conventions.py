"""What the messages of a bag mean: which topic has which role, and how actions follow from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from whale_ros.actions.space import ActionSpace
from whale_ros.data.recording import ACTION_SOURCES, ROLES, Recording
from whale_ros.shipped import config_files

NUMBERS = (  # of a gripper; of those with several, the first counts
    "std_msgs/msg/Float64",
    "std_msgs/msg/Float32",
    "std_msgs/msg/Float64MultiArray",
    "sensor_msgs/msg/JointState",
)
TYPES = {
    "camera": ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"),
    "pose": ("geometry_msgs/msg/PoseStamped",),
    "gripper": NUMBERS,
    "command": ("geometry_msgs/msg/TwistStamped",),
    "gripper_command": NUMBERS,
}


@dataclass(frozen=True)
class Conventions:
    """Units of what is read: m, rad, s; quaternions are as in ROS.

    topics: absolute name by role. command_timeout_s: a twist holds no longer, as in most drivers.
    gripper_open, gripper_closed: what the messages of the gripper and its command say then.
    gripper_joint: the name of its joint in a JointState; without one, the first of at most two.
    """

    topics: Mapping[str, str]
    action_source: str
    base_frame: str
    space: ActionSpace
    command_timeout_s: float = 0.1
    gripper_open: float = 0.0
    gripper_closed: float = 1.0
    gripper_joint: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError that names what cannot be."""
        needed = ["camera", "pose"]
        if self.action_source not in ACTION_SOURCES:
            raise ValueError(f"action_source is {self.action_source!r}, not {ACTION_SOURCES}")
        if self.action_source == "commanded_twists":
            needed.append("command")
        if not all(isinstance(topic, str) for topic in self.topics.values()):
            raise ValueError(f"topics must have names, not {list(self.topics.values())}")
        if not (isinstance(self.base_frame, str) and self.base_frame):
            raise ValueError(f"base_frame is {self.base_frame!r}, it must name a frame")
        if missing := [role for role in needed if not self.topics.get(role)]:
            raise ValueError(f"{self.action_source} need a topic of: {', '.join(missing)}")
        if self.gripper_open == self.gripper_closed or not self.command_timeout_s > 0:
            raise ValueError(
                f"gripper_open {self.gripper_open} and gripper_closed {self.gripper_closed} must "
                f"differ, command_timeout_s {self.command_timeout_s} must be positive"
            )
        self.space.must_be_executable()

    def wanted(self) -> dict[str, tuple[str, ...]]:
        """The types that the messages of each topic may have."""
        return {name: TYPES[role] for role, name in self.read_topics().items()}

    def read_topics(self) -> dict[str, str]:
        """Name by role; where actions come from poses, the arm may have been told in any way."""
        without = () if self.action_source == "commanded_twists" else ("command",)
        return {role: name for role, name in self.topics.items() if role not in without}


def of_robot(robot: str, action_source: str | None = None) -> Conventions:
    """As a robot's file has them: a name in config/robots, or the path of a file like those.

    Beside the parameters of nodes it may hold action_source, command_timeout_s, gripper_open,
    gripper_closed and gripper_joint, for all nodes or for demo_recorder.
    Raises ValueError that names the file.
    """
    path = _find(robot)
    try:
        content = yaml.safe_load(path.read_text())
        recorder = content.get("/**/demo_recorder", {}).get("ros__parameters", {})
        values = {**content["/**"]["ros__parameters"], **recorder}
        source = action_source or values.get("action_source", ACTION_SOURCES[0])
        if source == "commanded_twists" and values.get("command_type", "twist") != "twist":
            raise ValueError("its arm is told poses, not twists: use the pose_differences")
        topics = {role: values.get(f"{role}_topic", "") for role in ROLES}
        optional = ("command_timeout_s", "gripper_open", "gripper_closed")
        return Conventions(
            topics={role: _absolute(topic) for role, topic in topics.items() if topic},
            action_source=source,
            base_frame=str(values["base_frame"]),
            space=ActionSpace(
                step_s=float(values["action_step_s"]),
                max_translation_m=float(values["action_max_translation_m"]),
                max_rotation_rad=float(values["action_max_rotation_rad"]),
            ),
            **{key: float(values[key]) for key in optional if key in values},
            gripper_joint=str(values.get("gripper_joint", "")),
        )
    except KeyError as error:
        raise ValueError(f"{path} lacks {error}; config/robots has examples") from error
    except (
        OSError, ValueError, TypeError, AttributeError, RecursionError, yaml.YAMLError,
    ) as error:  # fmt: skip
        raise ValueError(f"{path} does not describe a robot: {error}") from error


def of_recording(recording: Recording, action_source: str | None = None) -> Conventions:
    """As the recorder wrote them down. Raises ValueError."""
    space: dict[str, Any] = recording.action_space
    if not space:
        raise ValueError("its recording.json does not tell the action space: name the robot")
    source = action_source or recording.action_source
    if source == "commanded_twists" and recording.command_type != "twist":
        raise ValueError("the arm was told poses, not twists: use the pose_differences")
    return Conventions(
        recording.topics,
        source,
        recording.base_frame,
        ActionSpace.from_dict(space),
        recording.command_timeout_s,
        recording.gripper_open,
        recording.gripper_closed,
        recording.gripper_joint,
    )


def _absolute(topic: str) -> str:
    return topic if topic.startswith("/") else f"/{topic}"


def _find(robot: str) -> Path:
    if Path(robot).suffix:
        return Path(robot)
    files = config_files("robots")
    for path in files:
        if path.stem == robot:
            return path
    known = ", ".join(path.stem for path in files)
    raise ValueError(f"no robot is called {robot!r}; known: {known}, or the path of a YAML file")
