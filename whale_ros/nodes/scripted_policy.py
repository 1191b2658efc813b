"""Node `scripted_policy`: stands in for a learned policy; it knows the true state of the sim.

Its sequences begin with what the gate is executing already, so that they are right when the
planner comes to use them.
"""

from __future__ import annotations

import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException

from whale_ros.msg import ApprovedChunk, CandidateSet, GateStatus, SimState
from whale_ros.nodes.lean_node import LeanNode
from whale_ros.nodes.parameters import BadParameter, Parameter, declare, refuse
from whale_ros.nodes.sequences import (
    ACTION_SPACE_PARAMETERS,
    BadSequence,
    action_space,
    seconds,
    to_actions,
    to_message,
)
from whale_ros.planning.commitment import RunningChunk
from whale_ros.sim.behaviors import BEHAVIORS, Behavior, Policy, policy_for

PARAMETERS = (
    Parameter("rate_hz", 5.0, "Proposals per second.", range=(0.5, 10.0), read_only=True),
    Parameter("horizon", 12, "New actions in a proposal.", range=(1, 48)),
    Parameter("behavior", "expert", "How it acts; a policy that has lost its way is `random`.",
              choices=BEHAVIORS),
    *ACTION_SPACE_PARAMETERS,
    Parameter("base_frame", "base", "Frame of the actions.", read_only=True),
    Parameter("state_topic", "sim_robot/state", "SimState, in.", read_only=True),
    Parameter("chunk_topic", "approved_chunk", "ApprovedChunk, in.", read_only=True),
    Parameter("gate_status_topic", "gate/status", "GateStatus, in.", read_only=True),
    Parameter("candidates_topic", "policy/candidates", "CandidateSet, out.", read_only=True),
)  # fmt: skip

PULL_M_S = 0.1  # a missed handle is seen 0.8 s late; at full speed the hand is 0.3 m away by then
RESPONSE_S = 0.08  # the state shows what was commanded so long ago: ramps, and the arm's own lag


class ScriptedPolicyNode(LeanNode):
    def __init__(self) -> None:
        """Raises BadParameter."""
        super().__init__("scripted_policy")
        self._values = values = declare(self, PARAMETERS)
        self._space = action_space(values)
        self._state: SimState | None = None
        self._chunk: RunningChunk | None = None
        self._executing = False
        self._behavior: tuple[tuple, Behavior] | None = None  # with what it was made for
        self._publisher = self.create_publisher(CandidateSet, values["candidates_topic"], 1)
        self.poll(SimState, values["state_topic"], self._on_state, 1)
        self.create_subscription(ApprovedChunk, values["chunk_topic"], self._on_chunk, 1)
        self.poll(GateStatus, values["gate_status_topic"], self._on_gate, 1)
        self.create_timer(1 / values["rate_hz"], self._propose)

    def _on_state(self, message: SimState) -> None:
        self._state = message

    def _on_chunk(self, message: ApprovedChunk) -> None:
        try:
            actions = to_actions(message.actions, self._space, self._values["base_frame"])
        except BadSequence:  # the gate says why
            return
        start_s = seconds(message.actions.header.stamp)
        self._chunk = RunningChunk(start_s, actions, self._space.step_s)
        self._propose()  # what was proposed before does not know of it

    def _on_gate(self, message: GateStatus) -> None:
        self._executing = message.state == GateStatus.EXECUTING

    def _propose(self) -> None:
        self.take_polled()
        state = self._state
        if state is None:
            return
        try:
            policy = policy_for(state.task, self._space, PULL_M_S)
        except ValueError as error:
            self.get_logger().error(str(error), throttle_duration_sec=5.0)
            return
        observation = np.array(state.observation)
        if len(observation) != policy.observed or not np.isfinite(observation).all():
            self.get_logger().error(
                f"{self._values['state_topic']} shows {len(observation)} numbers of {state.task}, "
                f"expected {policy.observed} finite ones; nothing is proposed",
                throttle_duration_sec=5.0,
            )
            return
        start_s, actions = self._plan(policy, observation, seconds(state.header.stamp))
        frame = self._values["base_frame"]
        message = CandidateSet(source="scripted")
        message.header.stamp = self.get_clock().now().to_msg()
        message.header.frame_id = frame
        message.candidates = [to_message(actions, "scripted", start_s, self._space, frame)]
        self._publisher.publish(message)

    def _plan(
        self, policy: Policy, observation: np.ndarray, now_s: float
    ) -> tuple[float, np.ndarray]:
        """When the sequence begins, and its actions (n, 7)."""
        horizon, step_s = self._values["horizon"], self._space.step_s
        chunk = self._chunk
        if not self._executing or chunk is None or now_s >= chunk.end_s + RESPONSE_S:
            return now_s, self._act(policy, observation, horizon)
        shown_s = max(chunk.start_s, now_s - RESPONSE_S)
        start_s, rest = chunk.from_next_step(shown_s)
        present = chunk.actions[max(0, len(chunk.actions) - len(rest) - 1)]
        observation = policy.foresee(observation, present, start_s - shown_s)
        for action in rest:
            observation = policy.foresee(observation, action, step_s)
        return start_s, np.concatenate([rest, self._act(policy, observation, horizon)])

    def _act(self, policy: Policy, observation: np.ndarray, horizon: int) -> np.ndarray:
        """The next actions (horizon, 7), by the same look-ahead whatever the behaviour."""
        name, state = self._values["behavior"], self._state
        if name == "expert" or state is None:
            # Shortened where the hand is beside the workspace, and would come back too fast.
            return self._space.clip(policy.plan(observation, horizon))
        made_for = (name, state.task, state.seed, state.episode)
        if self._behavior is None or self._behavior[0] != made_for:
            self._behavior = made_for, Behavior(name, state.task, self._space, state.seed)
        actions = []
        for _ in range(horizon):
            actions.append(self._behavior[1].act(observation))
            observation = policy.foresee(observation, actions[-1], self._space.step_s)
        return np.stack(actions)


def main() -> None:
    rclpy.init()
    try:
        node = ScriptedPolicyNode()
    except BadParameter as error:
        refuse("scripted_policy", error)
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()
