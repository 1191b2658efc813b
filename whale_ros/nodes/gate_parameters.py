"""Parameters of the gate."""

from __future__ import annotations

from typing import Any

from whale_ros.gate.config import GateConfig
from whale_ros.nodes.parameters import Parameter
from whale_ros.nodes.sequences import ACTION_SPACE_PARAMETERS, action_space

DEFAULT = GateConfig()


def _fixed(name: str, default: Any, description: str, *range_: float, **more: Any) -> Parameter:
    low_high = (range_[0], range_[1]) if range_ else None
    return Parameter(name, default, description, range=low_high, read_only=True, **more)


# Read-only all: what makes the arm safe does not change while it moves.
PARAMETERS = (
    # Topics
    _fixed("camera_topic", "camera/image", "sensor_msgs/Image; its stamp, and whether it changes."),
    _fixed("pose_topic", "ee_pose", "geometry_msgs/PoseStamped of the end effector."),
    _fixed("chunk_topic", "approved_chunk", "whale_ros/ApprovedChunk of the planner."),
    _fixed("uncertainty_topic", "world_model/uncertainty", "whale_ros/Uncertainty, the heartbeat."),
    _fixed(
        "estop_topic",
        DEFAULT.estop_topic,
        "std_msgs/Bool, `true` is pressed; 20 a second or more. Empty: there is no e-stop.",
    ),
    _fixed("command_topic", "arm/twist_command", "Command of the arm, see command_type."),
    _fixed(
        "command_type",
        "twist",
        "Command by TwistStamped, or by PoseStamped integrated from the measured pose.",
        choices=("twist", "pose"),
    ),
    _fixed("gripper_command_topic", "gripper/command", "std_msgs/Float64, 0 open .. 1 closed."),
    # Frames and actions
    _fixed("base_frame", DEFAULT.frame, "Frame of poses, actions, workspace and commands."),
    *ACTION_SPACE_PARAMETERS,
    _fixed(
        "start_mode",
        "hold",
        "Mode at the start: `hold` waits for ~/set_mode, also after a crash of the gate.",
        choices=("hold", "gate", "monitor_only"),
    ),
    # Limits
    _fixed(
        "workspace_low", list(DEFAULT.workspace_low), "Lower corner x, y, z of the box [m].", -5, 5
    ),
    _fixed("workspace_high", list(DEFAULT.workspace_high), "Upper corner of the box [m].", -5, 5),
    _fixed(
        "workspace_margin_m",
        DEFAULT.workspace_margin_m,
        "The arm may overshoot the box by this before it is held [m].",
        0.001,
        0.1,
    ),
    _fixed("max_linear_speed", DEFAULT.max_linear_speed, "Limit [m/s].", 0.001, 2),
    _fixed("max_angular_speed", DEFAULT.max_angular_speed, "Limit [rad/s].", 0.001, 4),
    _fixed("max_linear_acceleration", DEFAULT.max_linear_acceleration, "Limit [m/s^2].", 0.01, 20),
    _fixed(
        "max_angular_acceleration", DEFAULT.max_angular_acceleration, "Limit [rad/s^2].", 0.01, 40
    ),
    # Time-outs; none can be switched off
    _fixed("camera_period_s", DEFAULT.camera_period_s, "Time between images [s].", 0.005, 1),
    _fixed(
        "camera_missed_periods",
        DEFAULT.camera_missed_periods,
        "The arm is held when the newest image is older than so many periods.",
        1,
        10,
    ),
    _fixed("pose_timeout_s", DEFAULT.pose_timeout_s, "Age of the newest pose [s].", 0.02, 1),
    _fixed(
        "heartbeat_timeout_s",
        DEFAULT.heartbeat_timeout_s,
        "Time since the world model's last heartbeat [s].",
        0.05,
        5,
    ),
    _fixed(
        "heartbeat_max_image_age_s",
        DEFAULT.heartbeat_max_image_age_s,
        "Time from an image's stamp to the arrival of its judgement [s].",
        0.05,
        5,
    ),
    _fixed(
        "future_tolerance_s",
        DEFAULT.future_tolerance_s,
        "Stamps may be ahead of our clock by this [s].",
        0.001,
        0.5,
    ),
    _fixed(
        "max_skew_s",
        DEFAULT.max_skew_s,
        "From an image's stamp to that of the nearest pose [s].",
        0.005,
        0.5,
    ),
    _fixed(
        "estop_timeout_s",
        DEFAULT.estop_timeout_s,
        "An e-stop that was not heard for longer counts as pressed [s].",
        0.02,
        1,
    ),
    _fixed("chunk_max_age_s", DEFAULT.chunk_max_age_s, "From approval to arrival [s].", 0.02, 5),
    _fixed(
        "chunk_max_validity_s",
        DEFAULT.chunk_max_validity_s,
        "From approval to expiry [s].",
        0.1,
        30,
    ),
    _fixed("chunk_max_horizon", DEFAULT.chunk_max_horizon, "Actions of a chunk.", 1, 1000),
    # The loop
    _fixed("rate_hz", 1 / DEFAULT.cycle_s, "Cycles and commands per second.", 20, 500),
    _fixed("trip_cycles", DEFAULT.trip_cycles, "Bad cycles in a row before a hold.", 1, 50),
    _fixed(
        "release_cycles", DEFAULT.release_cycles, "Good cycles in a row before a release.", 1, 10000
    ),
    _fixed("audit_log", "", "File of decisions. Empty: in ROS's logs, by the node's name."),
)


def gate_config(values: dict[str, Any]) -> GateConfig:
    """The core's configuration from the node's parameters. Raises ValueError."""
    return GateConfig(
        action_space=action_space(values),
        frame=values["base_frame"],
        cycle_s=1 / values["rate_hz"],
        workspace_low=tuple(values["workspace_low"]),
        workspace_high=tuple(values["workspace_high"]),
        **{
            name: values[name]
            for name in GateConfig.__dataclass_fields__
            if name in values and name not in ("workspace_low", "workspace_high")
        },
    )


def why_contradictory(values: dict[str, Any]) -> str | None:
    try:
        gate_config(values)
    except ValueError as error:
        return f"parameters: {error}"
    return None
