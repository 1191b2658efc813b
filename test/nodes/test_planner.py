"""The planner as a process, between a world model and a gate whose answers the test chooses."""

import os
import time
from logging import DEBUG, INFO, WARNING

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import Log
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from rclpy.time import Time
from std_msgs.msg import Float64, String
from std_srvs.srv import Trigger

from whale_ros.actions.space import DIM, GRIPPER, ActionSpace
from whale_ros.msg import (
    ApprovedChunk,
    CandidateSet,
    GateStatus,
    PlanDecision,
    Prediction,
    Uncertainty,
)
from whale_ros.nodes.sequences import seconds, to_actions, to_message
from whale_ros.srv import Predict, ScreenActions

pytestmark = pytest.mark.ros

SPACE = ActionSpace()
STEP_S = SPACE.step_s
SETTLED = 4  # steps that fill the planning latency
HORIZON = 8
THRESHOLD = 0.1
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def policy_actions(length=16):
    """Each action differs from all others, and moves little in total."""
    actions = np.zeros((length, DIM))
    actions[:, 0] = 0.002 * np.cos(np.arange(length)) + 1e-4 * np.arange(length)
    actions[:, 2] = 0.001 * (-1.0) ** np.arange(length)
    return actions


class Surroundings:
    """Policy, world model, arm and gate, whose behaviour a test sets in the attributes."""

    def __init__(self, ros):
        self.ros = ros
        self.ready = True
        self.executes = True  # the gate plays the newest chunk
        self.mode = GateStatus.MODE_GATE
        self.proposes = True
        self.policy_age_s = 0.0
        self.think_s = 0.0
        self.image_age_s = 0.0  # of the image that is imagined from, when the candidates begin
        self.last_frames = {}  # when the imagination of each candidate ends
        self.later_rounds = ""  # "slow" or "refused"
        self.problem = ""  # why there is no valid threshold
        self.took_part: list[int] = []
        self.steps_to_goal = None  # what a learned value reads of a candidate, if there is one
        self.judge = lambda name: (0.05, 0.5)  # uncertainty and goal distance of a candidate
        self.requests = []
        self.decisions = ros.listen(PlanDecision, "planner/decision")
        self.chunks = ros.listen(ApprovedChunk, "approved_chunk")
        node = ros.node
        self.policy = node.create_publisher(CandidateSet, "policy/candidates", 1)
        self._heartbeats = node.create_publisher(
            Uncertainty, "world_model/uncertainty", qos_profile_sensor_data
        )
        self._poses = node.create_publisher(PoseStamped, "ee_pose", qos_profile_sensor_data)
        self._gates = node.create_publisher(GateStatus, "gate/status", 1)
        self._service = node.create_service(Predict, "world_model/predict", self._predict)
        self._timer = node.create_timer(0.05, self._speak)

    def now(self):
        return self.ros.node.get_clock().now().nanoseconds * 1e-9

    def propose(self, *messages, source="test"):
        self.policy.publish(CandidateSet(source=source, candidates=list(messages)))

    def sequence(self, actions=None):
        actions = policy_actions() if actions is None else actions
        return to_message(actions, "p", self.now() - self.policy_age_s, SPACE, "base")

    def decision(self, which=lambda decision: True, seconds=10.0):
        """The next decision of a kind."""
        self.decisions.clear()
        found = self.ros.wait(
            lambda: next(filter(which, self.decisions), None), "such a decision", seconds
        )
        return found

    def _speak(self):
        stamp = self.ros.node.get_clock().now().to_msg()
        heartbeat = Uncertainty(ready=self.ready, message="" if self.ready else "still warming up")
        heartbeat.header.stamp = stamp
        self._heartbeats.publish(heartbeat)
        pose = PoseStamped()
        pose.header.stamp, pose.header.frame_id = stamp, "base"
        pose.pose.position.y, pose.pose.position.z = 0.6, 0.2
        self._poses.publish(pose)
        running = self.chunks and seconds(self.chunks[-1].expiry) > self.now()
        state = GateStatus.EXECUTING if running and self.executes else GateStatus.HOLD
        self._gates.publish(GateStatus(state=state, mode=self.mode, reason="the test holds"))
        if self.proposes:
            self.propose(self.sequence())

    def _predict(self, request, response):
        self.requests.append(request)
        is_later = "." in request.candidate_set.candidates[0].id.split("/")[0]
        if is_later and self.later_rounds == "refused":
            response.message = "the test refuses"
            return response
        time.sleep(1.0 if is_later and self.later_rounds == "slow" else self.think_s)
        observed_s = start_of(request.candidate_set.candidates[0]) - self.image_age_s
        response.observation_stamp = Time(seconds=observed_s).to_msg()
        for candidate in request.candidate_set.candidates:
            self.last_frames[candidate.id] = observed_s + HORIZON * STEP_S
            uncertainty, distance = self.judge(candidate.id)
            response.predictions.append(
                Prediction(
                    candidate_id=candidate.id,
                    uncertainty=uncertainty,
                    took_part=self.took_part,
                    goal_distance=[1.0] * (HORIZON - 1) + [distance],
                    steps_to_goal=self.steps_to_goal(candidate.id) if self.steps_to_goal else [],
                )
            )
        response.success = True
        response.message = self.problem
        response.threshold = float("nan") if self.problem else THRESHOLD
        response.checkpoint = "abc"
        return response


@pytest.fixture
def around(ros, start):
    files = ("--params-file", "config/planner.yaml", "--params-file", "config/robots/sim.yaml")
    fixed = {"candidates": 12, "horizon": HORIZON, "chunk_steps": 4, "planning_latency_s": 0.8}
    start("planner", *files, *(part for k, v in fixed.items() for part in ("-p", f"{k}:={v}")))
    around = Surroundings(ros)
    ros.wait(around.policy.get_subscription_count, "the planner")
    return around


@pytest.fixture
def planner(ros, start):
    def planner(proposes: bool = True, **parameters) -> Surroundings:
        given = {"candidates": 12, "planning_latency_s": 0.8, **parameters}
        start("planner", *(part for k, v in given.items() for part in ("-p", f"{k}:={v}")))
        around = Surroundings(ros)
        around.proposes = proposes
        ros.wait(around.policy.get_subscription_count, "the planner")
        return around

    return planner


def is_approval(decision):
    return bool(decision.chosen_id)


def is_refusal(decision):
    return not decision.chosen_id


def ids(decision):
    return [candidate.id for candidate in decision.candidates]


def kind(name):
    return name.split("/")[1].split()[0]


def actions_of(message):
    return to_actions(message, SPACE, "base")


def start_of(message):
    return seconds(message.header.stamp)


def test_the_trusted_candidate_nearest_to_the_goal_is_approved(around):
    around.judge = lambda name: {
        "still": (0.05, 0.2),
        "slower": (0.2, 0.1),  # nearer, but not to be trusted
    }.get(kind(name), (0.05, 0.5))
    decision = around.decision(is_approval)
    assert kind(decision.chosen_id) == "still"
    verdicts = {kind(n): v for n, v in zip(ids(decision), decision.verdicts, strict=True)}
    assert verdicts["still"] == "chosen" and verdicts["policy"] == "passed"
    assert verdicts["slower"] == "rejected: uncertainty 0.2 is above 0.1"
    assert len(decision.candidates) == len(decision.predictions) == len(decision.scores) == 12
    assert 0 < decision.latency_s < 1

    def sent():
        return [c for c in around.chunks if c.actions.id == decision.chosen_id]

    (chunk,) = around.ros.wait(sent, "the chunk")
    assert seconds(chunk.expiry) == pytest.approx(start_of(chunk.actions) + HORIZON * STEP_S)
    assert chunk.uncertainty == pytest.approx(0.05) and chunk.threshold == pytest.approx(THRESHOLD)
    assert chunk.checkpoint == "abc" and chunk.session


def test_decisions_are_logged_with_what_rejected_how_many_but_not_the_same_all_the_time(ros, start):
    start("planner", "-p", "candidates:=12", "--log-level", "planner:=debug")
    log = ros.listen(Log, "/rosout", 100)
    around = Surroundings(ros)

    def lines(level, words):
        return [line.msg for line in log if line.level == level and words in line.msg]

    ros.wait(lambda: lines(DEBUG, "chose '"), "an approval that rejects nothing")
    assert not lines(INFO, "chose '")

    around.judge = lambda name: (0.2 if kind(name) == "slower" else 0.05, 0.5)
    around.decisions.clear()
    ros.wait(lambda: len(list(filter(is_approval, around.decisions))) >= 5, "approvals")
    told = lines(INFO, "rejected 1 of 12: 1 uncertainty")
    assert 1 <= len(told) <= 2 and told[0].startswith("chose '")

    around.judge = lambda name: (0.2, 0.5)
    held = "rejected 12 of 12: 12 uncertainty"
    ros.wait(lambda: lines(WARNING, held), "a hold with its reasons", 4)
    assert lines(WARNING, held)[0].startswith("nothing approved: none of 12 candidates passed")


def test_chunks_follow_each_other_without_a_seam(around):
    """Played by time, a chunk first goes on with what the one before it would have done."""
    rng = np.random.default_rng(0)
    around.judge = lambda name: (0.05, rng.random())

    def pairs():
        """Of chunks that follow each other: a busy machine may leave a pause between two."""
        following = zip(around.chunks, around.chunks[1:], strict=False)
        return [(a, b) for a, b in following if start_of(b.actions) < seconds(a.expiry)]

    around.ros.wait(lambda: len(pairs()) >= 4, "four pairs of chunks", 40)
    assert len({chunk.session for chunk in around.chunks}) == 1
    for old, new in pairs():
        assert new.sequence == old.sequence + 1
        offset = (start_of(new.actions) - start_of(old.actions)) / STEP_S
        first = round(offset)
        assert abs(offset - first) < 1e-3
        rest = actions_of(old.actions)[first:]
        np.testing.assert_array_equal(actions_of(new.actions)[: len(rest)], rest)
        assert 0 < len(rest) <= SETTLED
        assert seconds(new.header.stamp) < seconds(old.expiry)
    assert any(actions_of(chunk.actions)[-1, :3].any() for chunk in around.chunks)


@pytest.mark.parametrize(("age_s", "length"), [(0.05, 7), (0.25, 6)])
def test_nothing_is_executed_that_was_not_imagined_and_the_arm_goes_on_all_the_same(
    around, age_s, length
):
    around.image_age_s = age_s
    around.judge = lambda name: (0.05, 0.1 if kind(name) == "policy" else 0.5)

    def moving_pairs():
        """Chunks that follow each other, of which the second one moves in every step."""
        return [
            (old, new)
            for old, new in zip(around.chunks, around.chunks[1:], strict=False)
            if start_of(new.actions) < seconds(old.expiry) and actions_of(new.actions)[:, 2].all()
        ]

    around.ros.wait(lambda: len(moving_pairs()) >= 3, "three pairs of chunks without a pause", 40)
    for chunk in around.chunks:
        end_s = start_of(chunk.actions) + chunk.actions.horizon * STEP_S
        assert end_s == pytest.approx(seconds(chunk.expiry))
        assert end_s <= around.last_frames[chunk.actions.id] + 1e-3
    assert {chunk.actions.horizon for chunk in around.chunks} == {length}


def test_from_an_image_so_old_that_nothing_new_is_imagined_nothing_is_approved(around):
    around.image_age_s = 0.8
    decision = around.decision(lambda d: d.candidates)
    assert not decision.chosen_id
    assert "no new action was imagined" in decision.reason and "0.80 s old" in decision.reason
    assert not around.chunks


def fits(decision):
    """How many actions of the policy's sequence the policy's candidate leaves out."""
    candidate = actions_of(decision.candidates[0])
    tail, whole = candidate[SETTLED:], policy_actions()
    shifts = range(len(whole) - len(tail))
    return [s for s in shifts if np.allclose(tail, whole[s : s + len(tail)], atol=1e-6)]


def test_of_a_policy_sequence_what_the_running_chunk_does_is_left_out(around):
    around.policy_age_s = 2 * STEP_S
    around.ros.wait(lambda: len(around.chunks) >= 3, "motion")
    # 4 settled actions and 2 that are past; up to 0.25 s between proposal and plan
    assert fits(around.decision(is_approval)) in ([6], [7])


def test_an_arm_at_rest_leaves_nothing_of_a_policy_sequence_out(around):
    around.executes = False
    around.policy_age_s = 2 * STEP_S
    decision = around.decision(lambda d: d.candidates and ids(d)[0].endswith("/policy"))
    assert not actions_of(decision.candidates[0])[:SETTLED, :GRIPPER].any()
    assert fits(decision) == [0]


def test_bad_candidate_sets_are_named_and_nothing_moves(around):
    around.proposes = False

    def changed(**fields):
        message = around.sequence()
        for name, value in fields.items():
            setattr(message, name, value)
        return message

    broken = policy_actions()
    broken[3, 1] = np.nan
    far = policy_actions()
    far[2, 0] = 1.0
    elsewhere = around.sequence()
    elsewhere.header.frame_id = "world"
    bad_sets = [
        ([around.sequence(broken)], "action 3 holds nan at index 1"),
        ([around.sequence(far)], "action 2 moves 1.0"),
        ([changed(dim=6)], "6 numbers, expected 7"),
        ([changed(horizon=9)], "112 numbers, expected 9 x 7"),
        ([changed(horizon=2**31)], "2147483648 actions"),
        ([changed(action_space="joint_velocity/7")], "joint_velocity/7"),
        ([elsewhere], "'world'"),
        ([], "0 sequences"),
        ([around.sequence(), around.sequence(broken)], "action 3 holds nan"),
    ]
    for messages, named in bad_sets:
        around.propose(*messages, source="outsider")
        decision = around.decision(lambda d, named=named: named in d.reason)
        assert "'outsider'" in decision.reason and not decision.chosen_id
    assert not around.chunks and not around.requests
    around.proposes = True
    around.decision(is_approval)


def test_while_no_candidate_can_be_trusted_nothing_is_approved(around):
    around.judge = lambda name: (0.2, 0.5)
    decision = around.decision(lambda d: d.candidates)
    assert not decision.chosen_id
    assert (
        "none of 12 candidates passed" in decision.reason and "0.2 is above 0.1" in decision.reason
    )
    assert not around.chunks
    around.judge = lambda name: (float("nan"), 0.5)
    assert "nan" in around.decision(lambda d: "nan" in d.reason).verdicts[0]
    assert not around.chunks
    around.judge = lambda name: (0.05, 0.5)
    around.decision(is_approval)


def test_without_a_valid_calibration_nothing_is_approved_and_the_reason_is_told(around):
    around.problem = "calibration void: the horizon is 7"
    decision = around.decision(lambda d: d.candidates)
    assert not decision.chosen_id and decision.reason == around.problem
    assert len(decision.predictions) == 12 and not around.chunks


def test_a_constant_uncertainty_approves_nothing(around):
    around.took_part = [0] * (HORIZON - 1) + [15]
    decision = around.decision(lambda d: d.candidates)
    assert not decision.chosen_id and "exactly that of" in decision.reason
    around.took_part = [0] * (SETTLED - 1) + [1]  # of what all candidates begin with
    around.decision(is_approval)


def test_after_a_hold_of_the_gate_plans_begin_from_rest(around):
    around.judge = lambda name: (0.05, 0.1 if kind(name) == "policy" else 0.5)
    around.ros.wait(lambda: len(around.chunks) >= 3, "motion")
    around.executes = False
    around.ros.spin(0.3)
    around.requests.clear()
    around.ros.wait(lambda: len(around.requests) >= 2, "plans")
    for candidate in around.requests[-1].candidate_set.candidates:
        assert not actions_of(candidate)[:SETTLED, :GRIPPER].any()


def test_a_plan_is_thrown_away_when_the_gate_falls_silent_while_it_is_made(around):
    around.ros.wait(lambda: len(around.chunks) >= 2, "motion")
    around.think_s = 0.5  # the test's gate says nothing while its world model thinks
    decision = around.decision(lambda d: "the gate held" in d.reason)
    assert "not heard of" in decision.reason and not decision.chosen_id
    around.ros.spin(0.2)
    assert not {c.actions.id for c in around.chunks} & set(ids(decision))


def test_a_world_model_that_is_late_is_not_waited_for(around):
    around.think_s = 1.4
    decision = around.decision(lambda d: "did not answer" in d.reason)
    assert "planning_latency_s" in decision.reason and not decision.chosen_id
    around.ros.spin(1.5)
    assert not around.chunks
    assert len(around.requests) <= 3  # the next question waits for the late answer
    around.decision(lambda d: "for 6 candidates" in d.reason)
    around.think_s = 0.0
    around.decision(lambda d: is_approval(d) and len(d.candidates) == 6)
    around.decision(lambda d: is_approval(d) and len(d.candidates) == 12)


def test_a_world_model_that_is_somewhat_slow_is_given_more_time(around):
    around.think_s = 0.88
    decision = around.decision(lambda d: "did not answer" in d.reason)
    assert "next time 1 s" in decision.reason
    decision = around.decision(is_approval)
    settled = actions_of(decision.candidates[0])[: SETTLED + 1, :GRIPPER]
    assert not settled.any(), "it stands still for a step longer"
    chunk = around.ros.wait(lambda: around.chunks and around.chunks[-1], "the chunk")
    assert actions_of(chunk.actions)[SETTLED + 1 :, :GRIPPER].any()


def test_its_life_cycle_is_managed_on_request_and_only_active_it_plans(planner, ros):
    def change(transition):
        request = ChangeState.Request(transition=Transition(id=transition))
        return ros.call(ChangeState, "planner/change_state", request).success

    def assert_at_rest():
        around.chunks.clear(), around.requests.clear()
        answer = ros.call(ScreenActions, "planner/screen_actions", screening)
        assert not answer.success and not any(answer.trusted)
        assert "planner is not active" in answer.message
        ros.spin(0.5)
        assert not around.chunks and not around.requests

    around = planner(autostart="false")
    candidates = CandidateSet(candidates=[to_message(policy_actions(8), "now", 0.0, SPACE, "base")])
    screening = ScreenActions.Request(candidate_set=candidates)
    assert not change(Transition.TRANSITION_ACTIVATE), "it is not configured"
    assert_at_rest()
    assert change(Transition.TRANSITION_CONFIGURE)
    assert_at_rest()
    for _ in range(2):
        assert change(Transition.TRANSITION_ACTIVATE)
        ros.wait(lambda: around.chunks, "a chunk")
        around.think_s = 0.3  # a question is being answered
        asked = len(around.requests)
        ros.wait(lambda asked=asked: len(around.requests) > asked, "a plan in the making")
        assert change(Transition.TRANSITION_DEACTIVATE)
        last = "the planner is not active"
        ros.wait(lambda last=last: around.decisions[-1].reason == last, "its last decision")
        assert_at_rest()
    assert change(Transition.TRANSITION_CLEANUP)
    assert_at_rest()


def test_it_says_what_it_waits_for(planner):
    around = planner(proposes=False)
    around.decision(lambda d: is_refusal(d) and "policy/candidates" in d.reason)
    around.ready = False
    assert "still warming up" in around.decision(lambda d: "ready" in d.reason).reason
    around.ready, around.proposes, around.policy_age_s = True, True, 3.0
    assert "policy_timeout_s" in around.decision(lambda d: "began" in d.reason).reason
    assert not around.requests


def test_while_the_gate_only_monitors_uncertain_candidates_are_approved_too(around):
    around.judge = lambda name: (0.2, 0.5)
    assert "above 0.1" in around.decision(lambda d: d.predictions and is_refusal(d)).reason
    around.mode = GateStatus.MODE_MONITOR_ONLY
    approved = around.decision(is_approval)
    assert approved.threshold == pytest.approx(THRESHOLD)
    assert min(p.uncertainty for p in approved.predictions) > THRESHOLD


def test_without_a_policy_it_samples_if_it_may(ros, start):
    start("planner", "-p", "sample_without_policy:=true")
    around = Surroundings(ros)
    around.proposes = False
    around.judge = lambda name: (0.05, 0.1 if kind(name) == "sampled" else 0.5)
    decision = around.decision(is_approval)
    assert kind(decision.chosen_id) == "sampled"


def test_a_latency_that_leaves_nothing_to_plan_is_refused_in_one_line(start):
    process = start("planner", "-p", "planning_latency_s:=1.6", stderr=-1)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == os.EX_CONFIG
    assert "planning_latency_s" in errors and "horizon of 8" in errors
    assert "Traceback" not in errors


def test_the_time_of_a_sequence_survives_the_message():
    message = to_message(policy_actions(), "p", 1.75e9 + 0.3, SPACE, "base")
    assert seconds(message.header.stamp) == pytest.approx(1.75e9 + 0.3, abs=1e-6)
    assert Time.from_msg(message.header.stamp).nanoseconds > 0
    np.testing.assert_allclose(actions_of(message), policy_actions(), atol=1e-7)


GOAL = np.array([0.08, 0.6, 0.2])  # 8 cm from where the arm is


def send_goal(around, position=(0.0, 0.0, 0.0), yaw=0.0):
    """Position [m] and turn about z [rad], in the base frame."""
    goals = around.ros.node.create_publisher(PoseStamped, "goal_pose", LATCHED)
    around.ros.wait(goals.get_subscription_count, "the planner's subscription")
    goal = PoseStamped()
    goal.header.frame_id = "base"
    goal.pose.position.x, goal.pose.position.y, goal.pose.position.z = map(float, position)
    goal.pose.orientation.z, goal.pose.orientation.w = np.sin(yaw / 2), np.cos(yaw / 2)
    goals.publish(goal)
    around.ros.spin(0.2)


@pytest.mark.parametrize("method", ["cem", "mppi"])
def test_a_search_comes_nearer_to_a_goal_pose_round_after_round(planner, ros, method):
    around = planner(
        proposes=False,
        method=method,
        rounds=4,
        sample_without_policy=True,
        pose_weight=10.0,
        image_weight=0.0,
    )
    send_goal(around, position=GOAL)
    decision = around.decision(lambda d: is_approval(d) and "/best so far" in str(ids(d)))
    plan = decision.chosen_id.split("/")[0].split(".")[0]
    rounds = [
        request.candidate_set.candidates
        for request in around.requests
        if request.candidate_set.candidates[0].id.split("/")[0].split(".")[0] == plan
    ]
    assert 2 <= len(rounds) <= 4

    def distance(candidate):
        return np.linalg.norm(actions_of(candidate)[:, :3].sum(0) - (GOAL - [0, 0.6, 0.2]))

    best = [min(map(distance, candidates)) for candidates in rounds]
    assert best == sorted(best, reverse=True), "the best so far is always asked again"
    chosen = next(c for c in decision.candidates if c.id == decision.chosen_id)
    assert distance(chosen) == pytest.approx(best[-1], abs=0.005)
    assert distance(chosen) < 0.07


def test_a_search_turns_towards_the_orientation_of_a_goal_pose(planner, ros):
    around = planner(
        proposes=False,
        method="cem",
        rounds=4,
        sample_without_policy=True,
        turn_weight=10.0,
        image_weight=0.0,
    )
    wanted = 0.6
    send_goal(around, yaw=wanted)
    decision = around.decision(lambda d: is_approval(d) and "/best so far" in str(ids(d)))
    left = {
        candidate.id: np.linalg.norm(
            [0, 0, wanted] - actions_of(candidate)[:, 3:6].sum(0)  # nearly, for turns so small
        )
        for candidate in decision.candidates
    }
    assert left[decision.chosen_id] == pytest.approx(min(left.values()), abs=0.02)
    assert left[decision.chosen_id] < wanted - 0.01


@pytest.mark.parametrize("method", ["policy", "cem"])
def test_what_it_invents_is_no_faster_than_the_gate_allows(planner, method):
    around = planner(
        method=method, sample_without_policy=True, max_linear_speed=0.01, max_angular_speed=0.02
    )
    fast = np.zeros((16, DIM))
    fast[:, 0], fast[:, 5] = 0.004, 0.01
    around.sequence = lambda: to_message(fast, "p", around.now(), SPACE, "base")
    for candidate in around.decision(lambda d: d.candidates).candidates:
        new = actions_of(candidate)[SETTLED:]
        if kind(candidate.id) == "policy":
            np.testing.assert_allclose(new, fast[: len(new)], atol=1e-6)
        else:
            assert np.linalg.norm(new[:, :3], axis=1).max() <= 0.01 * STEP_S + 1e-7
            assert np.linalg.norm(new[:, 3:6], axis=1).max() <= 0.02 * STEP_S + 1e-7


def test_a_value_that_shall_count_must_be_there(planner, ros):
    around = planner(value_weight=1.0)
    decision = around.decision(lambda d: d.candidates)
    assert is_refusal(decision) and "chosen" in decision.verdicts and not around.chunks
    assert decision.reason == (
        "value_weight is 1.0, but the world model has no value; "
        "train one with `whale train-value` or set it to 0"
    )
    around.steps_to_goal = lambda name: [9.0] * 7 + [1.0 if kind(name) == "still" else 5.0]
    assert kind(around.decision(is_approval).chosen_id) == "still"
    around.steps_to_goal = None
    around.decision(lambda d: is_refusal(d) and "no value" in d.reason)
    off = Parameter("value_weight", value=0.0).to_parameter_msg()
    request = SetParameters.Request(parameters=[off])
    answer = ros.call(SetParameters, "planner/set_parameters", request)
    assert answer.results[0].successful
    around.decision(is_approval)


def test_publishers_that_it_cannot_hear_are_in_its_diagnostics(planner, ros):
    def told():
        statuses = [status for report in reports for status in report.status]
        reports.clear()
        return next((s for s in statuses if s.name == "/planner: topics"), None)

    planner()
    reports = ros.listen(DiagnosticArray, "/diagnostics")
    fine = ros.wait(told, "diagnostics")
    assert fine.level == DiagnosticStatus.OK and "can be heard" in fine.message
    for kind, topic in ((PoseStamped, "goal_pose"), (Float64, "gripper/command")):
        publisher = ros.node.create_publisher(kind, topic, qos_profile_sensor_data)
        words = f"/{topic} has incompatible QoS: test publishes best_effort and volatile"
        ros.wait(lambda words=words: (s := told()) and words in s.message, words)
        ros.node.destroy_publisher(publisher)


def test_when_nothing_passes_it_asks_and_plans_again_when_told_to(planner, ros):
    around = planner(when_nothing_passes="ask")
    around.judge = lambda name: (0.2, 0.5)
    decision = around.decision(lambda d: "asks the operator" in d.reason)
    assert "0.2 is above 0.1" in decision.verdicts[0] and not around.chunks
    asked = len(around.requests)
    assert asked >= 2, "it looks further around before it asks"
    around.ros.spin(1.5)
    assert len(around.requests) == asked
    late = ros.listen(String, "planner/question", LATCHED)
    ros.wait(lambda: late, "the question, which was asked before")
    assert late[0].data == decision.reason and "call /planner/go_on" in late[0].data
    around.judge = lambda name: (0.05, 0.5)
    assert ros.call(Trigger, "planner/go_on").success
    around.decision(is_approval)
    assert [question.data for question in late[1:]] == [""]
    later = ros.listen(String, "planner/question", LATCHED)
    ros.wait(lambda: later, "that there is no question")
    assert later[0].data == ""
    answer = ros.call(Trigger, "planner/go_on")
    assert not answer.success and "nobody was asked" in answer.message


@pytest.mark.parametrize("later_rounds", ["slow", "refused"])
def test_what_an_earlier_round_found_is_not_lost_with_a_later_one(planner, later_rounds):
    around = planner(method="cem", rounds=3, sample_without_policy=True)
    around.later_rounds = later_rounds
    decision = around.decision(is_approval)
    assert "." not in decision.chosen_id.split("/")[0], "of the first round"
    assert any("." in r.candidate_set.candidates[0].id.split("/")[0] for r in around.requests)
