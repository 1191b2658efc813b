"""The parameters of the demo_recorder."""

from __future__ import annotations

from typing import Any

from whale_ros.data.recording import ACTION_SOURCES
from whale_ros.nodes.parameters import Parameter
from whale_ros.nodes.sequences import ACTION_SPACE_PARAMETERS


def _fixed(name: str, default: Any, description: str, *range_: float, **more: Any) -> Parameter:
    low_high = (range_[0], range_[1]) if range_ else None
    return Parameter(name, default, description, range=low_high, read_only=True, **more)


PARAMETERS = (
    _fixed("folder", "demonstrations", "Where the episodes go."),
    _fixed("robot", "", "Its name, for people."),
    Parameter("task", "", "What is demonstrated, stored with each episode."),
    Parameter("note", "", "Stored with the episode that is kept next, then emptied."),
    _fixed("action_source", ACTION_SOURCES[0], "What the actions of the demonstrations will be "
           "made from: commanded twists, or differences of measured poses.",
           choices=ACTION_SOURCES),
    # Topics; of the robot's, an empty name means that there is none
    _fixed("camera_topic", "camera/image", "sensor_msgs/Image or CompressedImage."),
    _fixed("pose_topic", "ee_pose", "geometry_msgs/PoseStamped of the end effector."),
    _fixed("gripper_topic", "", "State of the gripper: JointState, Float64, ..."),
    _fixed("command_topic", "arm/twist_command", "What the arm is told, see command_type."),
    _fixed(
        "command_type", "twist", "Commands are TwistStamped or PoseStamped.",
        choices=("twist", "pose"),
    ),
    _fixed("gripper_command_topic", "gripper/command", "What the gripper is told."),
    _fixed("extra_topics", [""], "Recorded too when somebody publishes them, of any type."),
    # Stored, so that bags say what their numbers mean
    _fixed("base_frame", "base", "Frame of poses and commands."),
    *ACTION_SPACE_PARAMETERS,
    _fixed("command_timeout_s", 0.1, "The arm obeys a twist no longer [s].", 0.02, 1.0),
    _fixed("gripper_open", 0.0, "What the gripper's messages say when it is open.", -1e6, 1e6),
    _fixed("gripper_closed", 1.0, "What they say when it is closed.", -1e6, 1e6),
    _fixed("gripper_joint", "", "Its joint in a JointState; none: the first of at most two."),
    # Checks
    _fixed("camera_period_s", 0.1, "Images come at least so often [s].", 0.005, 1.0),
    _fixed("min_pose_rate_hz", 20.0, "Poses per second, at least.", 1.0, 1000.0),
    _fixed("max_skew_s", 0.05, "From an image's stamp to that of the nearest pose [s].",
           0.005, 0.5),
    _fixed("disk_floor_gb", 2.0, "Recording ends when the disk has less left.", 0.001, 10000.0),
)  # fmt: skip


def why_contradictory(values: dict[str, Any]) -> str | None:
    """In words, what cannot be true together; None if nothing."""
    if values["command_type"] == "pose" and values["action_source"] == "commanded_twists":
        return (
            "command_type is 'pose', so there are no commanded twists: "
            "set action_source to pose_differences"
        )
    if not (values["camera_topic"] and values["pose_topic"]):
        return "camera_topic and pose_topic must be named"
    if values["action_source"] == "commanded_twists" and not values["command_topic"]:
        return "action_source is commanded_twists, so command_topic must be named"
    return None
