"""Names of all parameters of all nodes.

A robot's file is given to every node, and each takes what it knows. So a name that another node
knows is left alone, and one that nobody knows is a mistake: ROS itself would ignore it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

# Names alone: with their tables, torch and the simulator would come into the gate.
KNOWN = frozenset(
    {
        "action_max_rotation_rad",
        "action_max_translation_m",
        "action_source",
        "action_step_s",
        "adaptive",
        "audit_log",
        "autostart",
        "base_frame",
        "behavior",
        "calibration",
        "camera_frame",
        "camera_missed_periods",
        "camera_period_s",
        "camera_rate_hz",
        "camera_topic",
        "candidates",
        "candidates_topic",
        "checkpoint",
        "chunk_max_age_s",
        "chunk_max_horizon",
        "chunk_max_validity_s",
        "chunk_steps",
        "chunk_topic",
        "command_timeout_s",
        "command_topic",
        "command_type",
        "decision_topic",
        "device",
        "disk_floor_gb",
        "embodiment",
        "estop_timeout_s",
        "estop_topic",
        "extra_topics",
        "folder",
        "frames_every",
        "future_tolerance_s",
        "gate_status_topic",
        "goal_pose_topic",
        "goal_topic",
        "gripper_closed",
        "gripper_command_topic",
        "gripper_joint",
        "gripper_open",
        "gripper_topic",
        "heartbeat_max_image_age_s",
        "heartbeat_timeout_s",
        "horizon",
        "image_height",
        "image_weight",
        "image_width",
        "max_angular_acceleration",
        "max_angular_speed",
        "max_linear_acceleration",
        "max_linear_speed",
        "max_skew_s",
        "method",
        "min_pose_rate_hz",
        "model_timeout_s",
        "note",
        "options",
        "planning_latency_s",
        "policy_timeout_s",
        "policy_weight",
        "pose_rate_hz",
        "pose_timeout_s",
        "pose_topic",
        "pose_weight",
        "predict_service",
        "rate_hz",
        "release_cycles",
        "robot",
        "rounds",
        "sample_without_policy",
        "screening_timeout_s",
        "seed",
        "start_mode",
        "state_topic",
        "task",
        "threads",
        "timeout_s",
        "trip_cycles",
        "turn_weight",
        "uncertainty_topic",
        "uncertainty_weight",
        "value_weight",
        "when_nothing_passes",
        "workspace_high",
        "workspace_low",
        "workspace_margin_m",
    }
)
OF_ROS = "qos_overrides."  # of topics, declared with them


def why_unknown(names: Iterable[str], declared: Iterable[str]) -> str | None:
    """Which of the `names` that a node was given no node knows, and what was perhaps meant."""
    known = KNOWN.union(declared)
    for name in sorted(names):
        if name not in known and not name.startswith(OF_ROS):
            close = difflib.get_close_matches(name, known, n=1)
            meant = f"; did you mean {close[0]!r}?" if close else ""
            return f"parameter {name!r} is unknown to every node of whale_ros{meant}"
    return None
