"""Parameters of the planner."""

from __future__ import annotations

import math

from whale_ros.gate.config import GateConfig
from whale_ros.nodes.parameters import Parameter
from whale_ros.nodes.screening import SCREENING_PARAMETERS
from whale_ros.nodes.sequences import ACTION_SPACE_PARAMETERS
from whale_ros.planning.impasse import REACTIONS

PARAMETERS = (
    Parameter("candidates", 8, "Action sequences imagined at once.", range=(1, 64)),
    Parameter("horizon", 8, "Actions in a candidate.", range=(2, 64), read_only=True),
    Parameter(
        "chunk_steps",
        4,
        "New actions in a chunk, after those that are settled already; fewer where the imagination "
        "ends earlier.",
        range=(1, 64),
    ),
    Parameter(
        "planning_latency_s",
        0.8,
        "The world model must answer within this time; candidates begin with what the arm "
        "does meanwhile. After a late answer it is more, while two new actions are left.",
        range=(0.05, 5.0),
        read_only=True,
    ),
    Parameter(
        "method",
        "policy",
        "How candidates are found: variations of the policy's sequence, or a search (cem, mppi) "
        "that goes on from plan to plan.",
        choices=("policy", "cem", "mppi"),
        read_only=True,
    ),
    Parameter(
        "rounds",
        1,
        "Times that a search has candidates imagined in one plan, as far as the time allows.",
        range=(1, 16),
    ),
    Parameter(
        "image_weight", 1.0, "Of the distance to the goal image in features.", range=(0.0, 100.0)
    ),
    Parameter(
        "pose_weight",
        0.0,
        "Of the distance of the end effector to the goal pose's position, per metre.",
        range=(0.0, 1000.0),
    ),
    Parameter(
        "turn_weight",
        0.0,
        "Of the angle of the end effector to the goal pose's orientation, per radian.",
        range=(0.0, 100.0),
    ),
    Parameter(
        "value_weight",
        0.0,
        "Of the steps left to the goal image, as a learned value reads them (`whale train-value`); "
        "without one nothing is approved.",
        range=(0.0, 100.0),
    ),
    Parameter(
        "uncertainty_weight",
        0.0,
        "Of the uncertainty as a penalty; as a bound it counts anyway.",
        range=(0.0, 100.0),
    ),
    Parameter(
        "policy_weight",
        3.0,
        "Of deviating from the policy by the limits, beside the distance to the goal.",
        range=(0.0, 100.0),
    ),
    Parameter(
        "when_nothing_passes",
        "hold",
        "hold; widen: look once twice as far around; ask: that, then hold with a ~/question until "
        "~/go_on is called.",
        choices=REACTIONS,
        read_only=True,
    ),
    Parameter(
        "policy_timeout_s", 1.0, "An older policy sequence does not count.", range=(0.1, 60.0)
    ),
    Parameter(
        "sample_without_policy", False, "Plan by sampling alone without a policy; else hold."
    ),
    Parameter(
        "model_timeout_s",
        1.0,
        "Without a newer heartbeat of the world model, nothing is planned.",
        range=(0.1, 10.0),
    ),
    Parameter(
        "frames_every",
        0,
        "Show the imagined pictures in every so many decisions; 0: never. Decoding takes time.",
        range=(0, 1000),
    ),
    Parameter(
        "autostart",
        True,
        "Configure and activate at the start; else a life cycle manager does.",
        read_only=True,
    ),
    Parameter("seed", 0, "Of the variations.", range=(0, 2**31 - 1), read_only=True),
    Parameter(
        "workspace_low",
        list(GateConfig.workspace_low),
        "Corner of the box that candidates must stay in [m].",
        range=(-10.0, 10.0),
        read_only=True,
    ),
    Parameter(
        "workspace_high",
        list(GateConfig.workspace_high),
        "Opposite corner [m].",
        range=(-10.0, 10.0),
        read_only=True,
    ),
    Parameter(
        "max_linear_speed",
        GateConfig.max_linear_speed,
        "What the planner itself invents is not faster, as the gate would reject it [m/s].",
        range=(0.001, 2.0),
        read_only=True,
    ),
    Parameter(
        "max_angular_speed",
        GateConfig.max_angular_speed,
        "Nor does it turn faster [rad/s].",
        range=(0.001, 4.0),
        read_only=True,
    ),
    *ACTION_SPACE_PARAMETERS,
    *SCREENING_PARAMETERS,
    Parameter("base_frame", "base", "Frame of poses and actions.", read_only=True),
    Parameter("pose_topic", "ee_pose", "PoseStamped of the end effector, in.", read_only=True),
    Parameter(
        "gripper_command_topic", "gripper/command", "Float64, what the gate commands, in.",
        read_only=True,
    ),
    Parameter(
        "goal_pose_topic", "goal_pose", "PoseStamped in base_frame, in.",
        read_only=True,
    ),
    Parameter("candidates_topic", "policy/candidates", "CandidateSet, in.", read_only=True),
    Parameter("chunk_topic", "approved_chunk", "ApprovedChunk, out.", read_only=True),
    Parameter("gate_status_topic", "gate/status", "GateStatus, in.", read_only=True),
    Parameter("uncertainty_topic", "world_model/uncertainty", "Uncertainty, in.", read_only=True),
    Parameter("predict_service", "world_model/predict", "Predict.", read_only=True),
)  # fmt: skip


def why_contradictory(values: dict) -> str | None:
    latency_s, horizon = values["planning_latency_s"], values["horizon"]
    steps = whole_steps(latency_s, values["action_step_s"])
    if steps >= horizon:
        return (
            f"parameter 'planning_latency_s': {latency_s:g} s are {steps} actions, "
            f"all of a horizon of {horizon}; use a shorter latency or a longer horizon"
        )
    box = zip("xyz", values["workspace_low"], values["workspace_high"], strict=True)
    for axis, low, high in box:
        if not low < high:
            return f"parameter 'workspace_low': {axis} = {low:g} is not below the high {high:g}"
    return None


def whole_steps(time_s: float, step_s: float) -> int:
    """How many whole actions it takes to fill a time."""
    return math.ceil(time_s / step_s - 1e-6)
