"""The scripted policy as a process: valid proposals that go on from what the gate executes."""

import numpy as np
import pytest

from whale_ros.actions.space import ActionSpace
from whale_ros.msg import ApprovedChunk, CandidateSet, GateStatus, SimState
from whale_ros.nodes.sequences import seconds, to_actions, to_message
from whale_ros.sim.arm import WORKSPACE_LOW, SimArm
from whale_ros.sim.behaviors import ScriptedPolicy, policy_for
from whale_ros.sim.bench.arm import BenchArm

pytestmark = pytest.mark.ros

SPACE = ActionSpace()
HORIZON = 12


@pytest.fixture
def behavior():
    return "expert"


@pytest.fixture
def say(ros, start, behavior):
    """say(state, gate_state, chunk) publishes all that is given, ten times a second."""
    file = ("--params-file", "config/scripted_policy.yaml")
    start("scripted_policy", *file, "-p", f"behavior:={behavior}")
    states = ros.node.create_publisher(SimState, "sim_robot/state", 1)
    gates = ros.node.create_publisher(GateStatus, "gate/status", 1)
    chunks = ros.node.create_publisher(ApprovedChunk, "approved_chunk", 1)
    said = {}

    def speak():
        if state := said.get("state"):
            state.header.stamp = ros.node.get_clock().now().to_msg()
            states.publish(state)
        gates.publish(GateStatus(state=said.get("gate", GateStatus.HOLD)))
        if chunk := said.get("chunk"):
            chunks.publish(chunk)

    ros.node.create_timer(0.1, speak)
    ros.wait(states.get_subscription_count, "the policy")
    return lambda **things: said.update(things)


@pytest.fixture(scope="module")
def observation():
    return SimArm("push-v3", 0).observation


def state_of(observation, task="push-v3"):
    return SimState(task=task, observation=observation.tolist())


def test_from_rest_it_proposes_what_the_expert_would_do(ros, say, observation):
    say(state=state_of(observation))
    proposals = ros.listen(CandidateSet, "policy/candidates")
    ros.wait(lambda: len(proposals) >= 3, "proposals")
    (sequence,) = proposals[-1].candidates
    actions = to_actions(sequence, SPACE, "base")
    np.testing.assert_allclose(
        actions, ScriptedPolicy("push-v3", SPACE).plan(observation, HORIZON), atol=1e-6
    )
    age_s = ros.node.get_clock().now().nanoseconds * 1e-9 - seconds(sequence.header.stamp)
    assert 0 <= age_s < 1.0


def test_a_hand_beside_the_workspace_comes_back_no_faster_than_allowed(ros, say, observation):
    observation = observation.copy()
    observation[0] = WORKSPACE_LOW[0] - 0.04
    assert SPACE.why_invalid(ScriptedPolicy("push-v3", SPACE).plan(observation, HORIZON))
    say(state=state_of(observation))
    proposals = ros.listen(CandidateSet, "policy/candidates")
    ros.wait(lambda: proposals, "a proposal")
    assert SPACE.why_invalid(to_actions(proposals[0].candidates[0], SPACE, "base")) is None


@pytest.mark.parametrize("behavior", ["random"])
def test_a_policy_that_lost_its_way_proposes_other_valid_actions(ros, say, observation):
    say(state=state_of(observation))
    proposals = ros.listen(CandidateSet, "policy/candidates")
    ros.wait(lambda: len(proposals) >= 3, "proposals")
    (sequence,) = proposals[-1].candidates
    actions = to_actions(sequence, SPACE, "base")  # raises if one is beyond the limits
    expert = ScriptedPolicy("push-v3", SPACE).plan(observation, HORIZON)
    assert np.abs(actions - expert).max() > 0.01


def test_in_motion_it_begins_with_the_rest_of_the_running_chunk(ros, say, observation):
    running = np.zeros((20, 7))
    running[:, 0] = 0.001 * np.arange(20)
    begin_s = ros.node.get_clock().now().nanoseconds * 1e-9
    chunk = ApprovedChunk(actions=to_message(running, "r", begin_s, SPACE, "base"))
    say(state=state_of(observation), gate=GateStatus.EXECUTING, chunk=chunk)
    proposals = ros.listen(CandidateSet, "policy/candidates")

    def continues():
        return proposals and proposals[-1].candidates[0].horizon > HORIZON

    ros.wait(continues, "a proposal that knows of the chunk")
    (sequence,) = proposals[-1].candidates
    actions = to_actions(sequence, SPACE, "base")
    rest = len(actions) - HORIZON
    np.testing.assert_allclose(actions[:rest], running[-rest:], atol=1e-6)
    left_s = begin_s + len(running) * SPACE.step_s - seconds(sequence.header.stamp)
    assert left_s == pytest.approx(rest * SPACE.step_s, abs=1e-3)

    say(gate=GateStatus.HOLD)  # what the gate does not execute, the policy does not count on
    ros.wait(lambda: proposals[-1].candidates[0].horizon == HORIZON, "a proposal from rest")


def test_a_task_without_a_policy_gets_no_proposal(ros, say, observation):
    say(state=state_of(observation, "juggle-v3"))
    proposals = ros.listen(CandidateSet, "policy/candidates")
    ros.spin(1.0)
    assert not proposals
    say(state=state_of(observation))
    ros.wait(lambda: proposals, "a proposal for a task it knows")


def test_for_another_robots_task_it_proposes_what_that_ones_expert_would_do(ros, say):
    state = BenchArm().observation
    say(state=state_of(state, "slide-block"))
    proposals = ros.listen(CandidateSet, "policy/candidates")
    ros.wait(lambda: proposals, "a proposal")
    (sequence,) = proposals[-1].candidates
    expected = policy_for("slide-block", SPACE).plan(state, HORIZON)
    np.testing.assert_allclose(to_actions(sequence, SPACE, "base"), expected, atol=1e-6)
