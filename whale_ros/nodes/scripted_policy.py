"""Node `scripted_policy`: stands in for a learned policy; it knows the true state of the sim."""

from __future__ import annotations

import sys

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node

from whale_ros.msg import CandidateSet, SimState
from whale_ros.nodes.parameters import BadParameter, Parameter, declare
from whale_ros.nodes.sequences import (
    ACTION_SPACE_PARAMETERS,
    action_space,
    seconds,
    to_message,
)
from whale_ros.sim.behaviors import ScriptedPolicy

PARAMETERS = (
    Parameter("rate_hz", 5.0, "Proposals per second.", range=(0.5, 10.0), read_only=True),
    Parameter("horizon", 16, "Actions in a proposal.", range=(1, 64)),
    *ACTION_SPACE_PARAMETERS,
    Parameter("base_frame", "base", "Frame of the actions.", read_only=True),
    Parameter("state_topic", "sim_robot/state", "SimState, in.", read_only=True),
    Parameter("candidates_topic", "policy/candidates", "CandidateSet, out.", read_only=True),
)


class ScriptedPolicyNode(Node):
    def __init__(self) -> None:
        """Raises BadParameter."""
        super().__init__("scripted_policy")
        self._values = values = declare(self, PARAMETERS)
        self._space = action_space(values)
        self._state: SimState | None = None
        self._publisher = self.create_publisher(CandidateSet, values["candidates_topic"], 1)
        self.create_subscription(SimState, values["state_topic"], self._on_state, 1)
        self.create_timer(1 / values["rate_hz"], self._propose)

    def _on_state(self, message: SimState) -> None:
        self._state = message

    def _propose(self) -> None:
        state, self._state = self._state, None
        if state is None:  # nothing new is known, so nothing new is proposed
            return
        try:
            policy = ScriptedPolicy(state.task, self._space)
        except ValueError as error:
            self.get_logger().error(str(error), throttle_duration_sec=5.0)
            return
        actions = policy.plan(np.array(state.observation), self._values["horizon"])
        start_s, frame = seconds(state.header.stamp), self._values["base_frame"]
        message = CandidateSet(source="scripted")
        message.header.stamp = self.get_clock().now().to_msg()
        message.header.frame_id = frame
        message.candidates = [to_message(actions, "scripted", start_s, self._space, frame)]
        self._publisher.publish(message)


def main() -> None:
    rclpy.init()
    try:
        node = ScriptedPolicyNode()
    except BadParameter as error:
        sys.exit(f"scripted_policy: {error}")
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()
