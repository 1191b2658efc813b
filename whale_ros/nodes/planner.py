"""Node `planner`: proposes candidates, has them imagined, and approves the best for the gate.

While a chunk runs, the next plan is made; every candidate of it begins with the rest of that
chunk, so that replacing one chunk by the next is seamless.
"""

from __future__ import annotations

import math
import sys
import time
import uuid
from dataclasses import dataclass

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import PoseStamped
from rclpy.client import Client
from rclpy.executors import ExternalShutdownException
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.task import Future
from rclpy.time import Time
from std_msgs.msg import Float64

from whale_ros.gate.confidence import MAX_UNCERTAINTY
from whale_ros.gate.config import GateConfig
from whale_ros.msg import (
    ActionSequence,
    ApprovedChunk,
    CandidateSet,
    GateStatus,
    PlanDecision,
    Uncertainty,
)
from whale_ros.nodes.lean_node import LeanNode
from whale_ros.nodes.parameters import BadParameter, Parameter, declare
from whale_ros.nodes.screening import SCREENING_PARAMETERS, Screening
from whale_ros.nodes.sequences import (
    ACTION_SPACE_PARAMETERS,
    BadSequence,
    action_space,
    seconds,
    to_actions,
    to_message,
)
from whale_ros.nodes.topics import why_silent
from whale_ros.planning.commitment import RunningChunk, follow, is_due, settle
from whale_ros.planning.proposals import deviation, propose
from whale_ros.planning.screening import Choice, choose, judged_part, why_leaves
from whale_ros.srv import Predict

PARAMETERS = (
    Parameter("candidates", 8, "Action sequences imagined at once.", range=(1, 64)),
    Parameter("horizon", 8, "Actions in a candidate.", range=(2, 64), read_only=True),
    Parameter(
        "chunk_steps",
        4,
        "New actions in a chunk, after those that are settled already.",
        range=(1, 64),
    ),
    Parameter(
        "planning_latency_s",
        0.8,
        "The world model must answer within this time; candidates begin with what the arm "
        "does meanwhile.",
        range=(0.05, 5.0),
        read_only=True,
    ),
    Parameter(
        "policy_weight",
        0.3,
        "Of deviating from the policy by the limits, beside the distance to the goal.",
        range=(0.0, 100.0),
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
    *ACTION_SPACE_PARAMETERS,
    *SCREENING_PARAMETERS,
    Parameter("base_frame", "base", "Frame of poses and actions.", read_only=True),
    Parameter("pose_topic", "ee_pose", "PoseStamped of the end effector, in.", read_only=True),
    Parameter(
        "gripper_command_topic", "gripper/command", "Float64, what the gate commands, in.",
        read_only=True,
    ),
    Parameter("candidates_topic", "policy/candidates", "CandidateSet, in.", read_only=True),
    Parameter("chunk_topic", "approved_chunk", "ApprovedChunk, out.", read_only=True),
    Parameter("gate_status_topic", "gate/status", "GateStatus, in.", read_only=True),
    Parameter("uncertainty_topic", "world_model/uncertainty", "Uncertainty, in.", read_only=True),
    Parameter("predict_service", "world_model/predict", "Predict.", read_only=True),
)  # fmt: skip

NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
TICK_S = 0.02
POSE_TIMEOUT_S = 0.5
GATE_TIMEOUT_S = 0.3
GATE_GRACE_S = 0.15  # from sending a chunk until the gate must be heard to execute it
FUTURE_S = 0.5  # a policy may begin with the next step of the running chunk
LOST_S = 5.0  # a question without an answer for so long was lost with its server
MAX_SEQUENCES = 64


@dataclass
class Policy:
    """The newest candidate set: sequences (m, 7) and when they begin."""

    source: str
    sequences: list[tuple[float, np.ndarray]]


@dataclass
class Question:
    """Candidates that the world model was asked to imagine."""

    asked_at: float  # steady clock
    start_s: float  # when the candidates begin
    deadline_s: float  # when their settled actions end
    settled: int
    names: list[str]
    candidates: np.ndarray  # (K, H, 7)
    messages: list[ActionSequence]
    deviation: np.ndarray  # (K,)
    answer: Future
    why_void: str = ""
    given_up: bool = False  # a late answer is waited for, lest questions pile up, but not used


class PlannerNode(LeanNode):
    def __init__(self) -> None:
        """Raises BadParameter."""
        super().__init__("planner")
        self._values = values = declare(self, PARAMETERS, _why_contradictory)
        self._space = action_space(values)
        self._settled_steps = _steps(values["planning_latency_s"], self._space.step_s)
        self._rng = np.random.default_rng(values["seed"])
        self._session = uuid.uuid4().hex
        self._chunks_sent = 0
        self._plans = 0
        self._policy: Policy | None = None
        self._policy_problem = ""
        self._heartbeat: tuple[float, Uncertainty] | None = None  # with its arrival
        self._gate: tuple[float, GateStatus] | None = None
        self._pose: tuple[float, np.ndarray] | None = None
        self._moved_at = self._moved_s = -math.inf  # when the gate last executed: steady, ROS
        self._gripper = 0.0
        self._running: RunningChunk | None = None
        self._sent_at = -math.inf
        self._question: Question | None = None
        self._next_try = -math.inf
        self._reason = "has just started"
        self._latency_s = math.nan

        self._chunks = self.create_publisher(ApprovedChunk, values["chunk_topic"], 1)
        self._decisions = self.create_publisher(PlanDecision, "~/decision", 10)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 1)
        self._predict: Client = self.create_client(Predict, values["predict_service"])
        subscribe = self.create_subscription
        subscribe(CandidateSet, values["candidates_topic"], self._on_candidates, 1)
        subscribe(Uncertainty, values["uncertainty_topic"], self._on_heartbeat, NEWEST)
        subscribe(GateStatus, values["gate_status_topic"], self._on_gate, 1)
        subscribe(PoseStamped, values["pose_topic"], self._on_pose, NEWEST)
        subscribe(Float64, values["gripper_command_topic"], self._on_gripper, 1)
        self._screening = Screening(self, values, self._space, self._why_blind, self._position)
        self.create_timer(TICK_S, self._tick)
        self.create_timer(1.0, self._report)

    # What comes in

    def _on_candidates(self, message: CandidateSet) -> None:
        try:
            self._policy = self._to_policy(message)
            self._policy_problem = ""
        except BadSequence as error:
            self._policy = None
            self._policy_problem = f"candidate set of {message.source!r} rejected: {error}"
            self.get_logger().warning(self._policy_problem, throttle_duration_sec=2.0)

    def _to_policy(self, message: CandidateSet) -> Policy:
        if not 1 <= len(message.candidates) <= MAX_SEQUENCES:
            raise BadSequence(
                f"it holds {len(message.candidates)} sequences, expected 1 .. {MAX_SEQUENCES}"
            )
        frame = self._values["base_frame"]
        return Policy(
            message.source,
            [
                (seconds(sequence.header.stamp), to_actions(sequence, self._space, frame))
                for sequence in message.candidates
            ],
        )

    def _on_heartbeat(self, message: Uncertainty) -> None:
        self._heartbeat = time.monotonic(), message

    def _on_gate(self, message: GateStatus) -> None:
        self._gate = time.monotonic(), message
        if message.state == GateStatus.EXECUTING:
            self._moved_at, self._moved_s = time.monotonic(), self._now()

    def _on_pose(self, message: PoseStamped) -> None:
        p = message.pose.position
        position = np.array([p.x, p.y, p.z])
        if np.isfinite(position).all() and message.header.frame_id == self._values["base_frame"]:
            self._pose = time.monotonic(), position

    def _on_gripper(self, message: Float64) -> None:
        if 0 <= message.data <= 1:
            self._gripper = message.data

    # Planning

    def _tick(self) -> None:
        now = self._now()
        self._follow_gate(now)
        question = self._question
        if question is not None:
            # The gate takes no chunk that begins in the future.
            if question.answer.done() and now >= question.start_s:
                self._question = None
                if not question.given_up:
                    self._decide(question, now)
            elif now > question.deadline_s and not question.given_up:
                question.given_up = True
                self._hold(
                    f"the world model did not answer within {now - question.start_s:.2f} s, "
                    f"planning_latency_s is {self._values['planning_latency_s']:g}"
                )
            elif time.monotonic() - question.asked_at > LOST_S:
                self._question = None
                self._predict.remove_pending_request(question.answer)
        elif self._may_ask(now):
            why = self._why_not_now()
            if why:
                self._next_try = time.monotonic() + self._space.step_s
                self._hold(why)
            else:
                self._ask(now)

    def _may_ask(self, now: float) -> bool:
        if self._running is not None and self._moved_at < self._sent_at:
            return False  # it is not known yet whether the gate took the chunk
        due = is_due(self._running, now, self._settled_steps)
        return due and time.monotonic() >= self._next_try

    def _follow_gate(self, now: float) -> None:
        """Forget the running chunk when it has ended, or when the gate does not execute it."""
        if self._running is None:
            return
        if now >= self._running.end_s:
            self._running = None
            return
        arrived, gate = self._gate or (-math.inf, GateStatus())
        heard = time.monotonic() - arrived < GATE_TIMEOUT_S
        if heard and gate.state == GateStatus.EXECUTING:
            return
        if time.monotonic() - self._sent_at > GATE_GRACE_S:
            self._running = None
            if self._question is not None:
                reason = f": {gate.reason}" if heard else ", it is not heard of"
                self._question.why_void = f"the gate held while this plan was made{reason}"

    def _why_not_now(self) -> str:
        """Why the world model is not even asked; empty if it is."""
        why = self._why_blind()
        if why or self._values["sample_without_policy"]:
            return why
        return self._why_no_policy()

    def _why_blind(self) -> str:
        """Why nothing can be imagined now, whatever it is; empty if it can."""
        values = self._values
        if self._heartbeat is None:
            return why_silent(self, values["uncertainty_topic"], Uncertainty)
        arrived, heartbeat = self._heartbeat
        age_s = time.monotonic() - arrived
        if age_s > values["model_timeout_s"]:
            return f"nothing was heard of the world model for {age_s:.1f} s"
        if not heartbeat.ready:
            return f"the world model is not ready: {heartbeat.message}"
        if not self._predict.service_is_ready():
            return f"service {values['predict_service']} is not there"
        if self._pose is None or time.monotonic() - self._pose[0] > POSE_TIMEOUT_S:
            return f"no pose: {why_silent(self, values['pose_topic'], PoseStamped)}"
        return ""

    def _position(self) -> np.ndarray:
        """(3,) of the end effector, newest; only where _why_blind has nothing to say."""
        assert self._pose is not None
        return self._pose[1]

    def _why_no_policy(self) -> str:
        if self._policy_problem:
            return self._policy_problem
        if self._policy is None:
            return why_silent(self, self._values["candidates_topic"], CandidateSet)
        if not self._fresh_sequences(self._now()):
            age_s = self._now() - self._policy.sequences[0][0]
            return (
                f"the sequence of {self._policy.source!r} began {age_s:.2f} s ago, "
                f"allowed is -{FUTURE_S:g} to {self._values['policy_timeout_s']:g} s "
                "(policy_timeout_s)"
            )
        return ""

    def _fresh_sequences(self, now: float) -> list[tuple[float, np.ndarray]]:
        if self._policy is None:
            return []
        timeout_s = self._values["policy_timeout_s"]
        return [s for s in self._policy.sequences if -FUTURE_S <= now - s[0] <= timeout_s]

    def _ask(self, now: float) -> None:
        values, step_s = self._values, self._space.step_s
        settled = settle(
            self._running, now, self._settled_steps, step_s, self._gripper, self._moved_s
        )
        policy = [
            follow(actions, began_s, settled, step_s)
            for began_s, actions in self._fresh_sequences(now)
        ]
        proposed = propose(
            settled.actions, policy, values["candidates"], values["horizon"], self._space, self._rng
        )
        self._plans += 1
        names = [f"{self._plans}/{name}" for name in proposed]
        candidates = np.stack(list(proposed.values()))
        frame = values["base_frame"]
        messages = [
            to_message(actions, name, settled.start_s, self._space, frame)
            for name, actions in zip(names, candidates, strict=True)
        ]
        every = values["frames_every"]
        request = Predict.Request(return_frames=every > 0 and self._plans % every == 0)
        request.candidate_set = CandidateSet(source="planner", candidates=messages)
        request.candidate_set.header.stamp = Time(seconds=now).to_msg()
        request.candidate_set.header.frame_id = frame
        deviations = np.zeros(len(candidates))
        if "policy" in proposed:
            new_steps = values["horizon"] - len(settled.actions)
            deviations = deviation(candidates, proposed["policy"], new_steps, self._space)
        question = Question(
            time.monotonic(),
            settled.start_s,
            settled.start_s + len(settled.actions) * step_s,
            len(settled.actions),
            names,
            candidates,
            messages,
            deviations,
            self._predict.call_async(request),
        )

        def note_time(answer: Future) -> None:
            self._latency_s = time.monotonic() - question.asked_at

        question.answer.add_done_callback(note_time)
        self._question = question

    def _decide(self, question: Question, now: float) -> None:
        answer = question.answer.result()
        assert answer is not None
        if not answer.success:
            self._hold(f"the world model refused: {answer.message}")
            return
        ids = [prediction.candidate_id for prediction in answer.predictions]
        if ids != question.names:
            self._hold(f"the world model answered for {ids}, asked was {question.names}")
            return
        choice = self._choose(question, answer)
        why = question.why_void or ("the answer came too late" if now > question.deadline_s else "")
        if choice.index is None:
            why = why or answer.message  # why there is no valid threshold
        if why:
            choice = Choice(None, why, choice.scores, choice.verdicts)
        decision = PlanDecision(
            chosen_id="" if choice.index is None else question.names[choice.index],
            reason=choice.reason,
            candidate_ids=question.names,
            scores=choice.scores.astype(np.float32).tolist(),
            verdicts=choice.verdicts,
            candidates=question.messages,
            predictions=answer.predictions,
            threshold=answer.threshold,
            observation_stamp=answer.observation_stamp,
            latency_s=self._latency_s,
        )
        if choice.index is not None:
            self._approve(question, choice.index, answer)
        self._publish(decision)

    def _choose(self, question: Question, answer: Predict.Response) -> Choice:
        uncertainty = np.array([p.uncertainty for p in answer.predictions])
        # Without a goal image nothing tells the candidates apart but the policy.
        goals = [p.goal_distance[-1] if p.goal_distance else 0.0 for p in answer.predictions]
        low = np.array(self._values["workspace_low"])
        high = np.array(self._values["workspace_high"])
        position = self._position()
        passed = max(0.0, (self._now() - question.start_s) / self._space.step_s)
        obstacles = [why_leaves(c, passed, position, low, high) for c in question.candidates]
        return choose(
            question.names,
            uncertainty,
            self._bound(answer.threshold),
            [
                judged_part(actions, prediction.took_part)
                for actions, prediction in zip(question.candidates, answer.predictions, strict=True)
            ],
            np.array(goals),
            question.deviation,
            self._values["policy_weight"],
            obstacles,
        )

    def _bound(self, threshold: float) -> float:
        """Of the uncertainty: none while the gate's mode says that checks are not enforced."""
        monitoring = self._gate and self._gate[1].mode == GateStatus.MODE_MONITOR_ONLY
        return MAX_UNCERTAINTY if monitoring else threshold

    def _approve(self, question: Question, index: int, answer: Predict.Response) -> None:
        length = question.settled + self._values["chunk_steps"]
        actions = question.candidates[index, :length]
        name, frame = question.names[index], self._values["base_frame"]
        running = RunningChunk(question.start_s, actions, self._space.step_s)
        chunk = ApprovedChunk(
            session=self._session,
            sequence=self._chunks_sent,
            expiry=Time(seconds=running.end_s).to_msg(),
            actions=to_message(actions, name, question.start_s, self._space, frame),
            uncertainty=answer.predictions[index].uncertainty,
            threshold=answer.threshold,
            checkpoint=answer.checkpoint,
        )
        chunk.header.stamp = self.get_clock().now().to_msg()
        chunk.header.frame_id = frame
        self._chunks.publish(chunk)
        self._chunks_sent += 1
        self._running, self._sent_at = running, time.monotonic()

    def _hold(self, reason: str) -> None:
        """Approve nothing: the arm holds when its chunk ends."""
        self._publish(PlanDecision(reason=reason, latency_s=self._latency_s))

    def _publish(self, decision: PlanDecision) -> None:
        decision.header.stamp = self.get_clock().now().to_msg()
        decision.header.frame_id = self._values["base_frame"]
        self._decisions.publish(decision)
        if not decision.chosen_id and decision.reason != self._reason:
            self.get_logger().warning(
                f"nothing approved: {decision.reason}", throttle_duration_sec=1.0
            )
        self._reason = decision.reason

    # Clock, diagnostics

    def _now(self) -> float:
        return self.get_clock().now().nanoseconds * 1e-9

    def _report(self) -> None:
        status = DiagnosticStatus(name="planner: planning", hardware_id=self._session)
        approves = self._running is not None
        status.level = DiagnosticStatus.OK if approves else DiagnosticStatus.WARN
        status.message = self._reason
        status.values = [
            KeyValue(key="latency_s", value=f"{self._latency_s:.3f}"),
            KeyValue(key="planning_latency_s", value=f"{self._values['planning_latency_s']:g}"),
            KeyValue(key="policy", value=self._policy.source if self._policy else ""),
            KeyValue(key="plans", value=str(self._plans)),
            KeyValue(key="chunks_sent", value=str(self._chunks_sent)),
        ]
        report = DiagnosticArray(status=[status])
        report.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(report)


def _why_contradictory(values: dict) -> str | None:
    latency_s, horizon = values["planning_latency_s"], values["horizon"]
    steps = _steps(latency_s, values["action_step_s"])
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


def _steps(time_s: float, step_s: float) -> int:
    """How many whole actions it takes to fill a time."""
    return math.ceil(time_s / step_s - 1e-6)


def main() -> None:
    rclpy.init()
    try:
        node = PlannerNode()
    except BadParameter as error:
        sys.exit(f"planner: {error}")
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()
