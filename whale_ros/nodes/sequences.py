"""ActionSequence messages to numpy and back."""

from __future__ import annotations

import array

import numpy as np
from rclpy.time import Duration, Time

from whale_ros.actions.space import DIM, ActionSpace
from whale_ros.msg import ActionSequence, CandidateSet
from whale_ros.nodes.parameters import Parameter

MAX_HORIZON = 64  # no policy looks further; a message that claims more is broken or hostile
MAX_SEQUENCES = 64  # nor proposes more

ACTION_SPACE_PARAMETERS = (  # the robot's, in config/robots; the gate has the same
    Parameter("action_step_s", 0.2, "Duration of one action [s].", (0.02, 2.0), read_only=True),
    Parameter(
        "action_max_translation_m", 0.05, "Longest translation of an action [m].", (0.001, 0.5),
        read_only=True,
    ),
    Parameter(
        "action_max_rotation_rad", 0.1, "Largest rotation of an action [rad].", (0.001, 1.0),
        read_only=True,
    ),
)  # fmt: skip


class BadSequence(ValueError):
    """An action sequence cannot be used; the message names the sequence and says why."""


def action_space(values: dict) -> ActionSpace:
    """The action space of declared ACTION_SPACE_PARAMETERS."""
    return ActionSpace(
        step_s=values["action_step_s"],
        max_translation_m=values["action_max_translation_m"],
        max_rotation_rad=values["action_max_rotation_rad"],
    )


def to_message(
    actions: np.ndarray, name: str, start_s: float, space: ActionSpace, frame: str
) -> ActionSequence:
    """A message of actions (H, 7), the first of which begins at start_s [ROS seconds]."""
    message = ActionSequence(
        id=name,
        action_space=space.signature,
        step_duration=Duration(seconds=space.step_s).to_msg(),
        horizon=len(actions),
        dim=DIM,
        actions=array.array("f", actions.astype(np.float32).ravel()),
    )
    message.header.stamp = Time(seconds=start_s).to_msg()
    message.header.frame_id = frame
    return message


def to_actions(message: ActionSequence, space: ActionSpace, frame: str) -> np.ndarray:
    """(H, 7) float64. Raises BadSequence. Sizes are looked at before anything is allocated."""
    if why := _why_refused(message, space, frame):
        raise BadSequence(f"sequence {message.id!r}: {why}")
    actions = np.array(message.actions, float).reshape(message.horizon, DIM)
    if why := space.why_invalid(actions):
        raise BadSequence(f"sequence {message.id!r}: {why}")
    return actions


def to_sequences(
    message: CandidateSet, space: ActionSpace, frame: str
) -> list[tuple[float, np.ndarray]]:
    """When each sequence begins [ROS seconds], and its actions (H, 7). Raises BadSequence."""
    if not 1 <= len(message.candidates) <= MAX_SEQUENCES:
        raise BadSequence(
            f"it holds {len(message.candidates)} sequences, expected 1 .. {MAX_SEQUENCES}"
        )
    return [
        (seconds(sequence.header.stamp), to_actions(sequence, space, frame))
        for sequence in message.candidates
    ]


def seconds(stamp) -> float:
    """Seconds of a builtin_interfaces Time or Duration."""
    return stamp.sec + stamp.nanosec * 1e-9


def _why_refused(message: ActionSequence, space: ActionSpace, frame: str) -> str | None:
    if message.header.frame_id != frame:
        return f"its frame is {message.header.frame_id!r}, expected {frame!r}"
    if message.action_space != space.signature:
        return f"its action space is {message.action_space!r}, expected {space.signature!r}"
    if abs(seconds(message.step_duration) - space.step_s) > 1e-6:
        return f"its actions take {seconds(message.step_duration):g} s, expected {space.step_s:g} s"
    if message.dim != DIM:
        return f"its actions have {message.dim} numbers, expected {DIM}"
    if not 1 <= message.horizon <= MAX_HORIZON:
        return f"it has {message.horizon} actions, expected 1 .. {MAX_HORIZON}"
    if len(message.actions) != message.horizon * DIM:
        return f"it has {len(message.actions)} numbers, expected {message.horizon} x {DIM}"
    return None
