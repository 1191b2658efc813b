"""Node `planner`: proposes candidates, has them imagined, and approves the best for the gate.

While a chunk runs, the next plan is made; every candidate of it begins with the rest of that
chunk, so that replacing one chunk by the next is seamless. A chunk ends where the imagination does.
"""

from __future__ import annotations

import math
import time
import uuid
from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import PoseStamped
from rclpy.client import Client
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.task import Future
from rclpy.time import Time
from std_msgs.msg import Float64, String
from std_srvs.srv import Trigger

from whale_ros.actions.space import GRIPPER
from whale_ros.gate.confidence import MAX_UNCERTAINTY
from whale_ros.gate.pose import Pose, why_bad
from whale_ros.msg import (
    ActionSequence,
    ApprovedChunk,
    CandidateSet,
    GateStatus,
    PlanDecision,
    Uncertainty,
)
from whale_ros.nodes.decision_log import DecisionLog
from whale_ros.nodes.gate_messages import to_pose
from whale_ros.nodes.lean_node import LeanLifecycleNode
from whale_ros.nodes.parameters import BadParameter, declare, refuse
from whale_ros.nodes.planner_parameters import PARAMETERS, whole_steps, why_contradictory
from whale_ros.nodes.predictions import why_unusable
from whale_ros.nodes.screening import Screening
from whale_ros.nodes.sequences import (
    BadSequence,
    action_space,
    seconds,
    to_message,
    to_sequences,
)
from whale_ros.nodes.topics import hearing, why_silent
from whale_ros.planning.commitment import (
    RunningChunk,
    Settled,
    follow,
    imagined_steps,
    is_due,
    settle,
)
from whale_ros.planning.impasse import Impasse
from whale_ros.planning.objectives import Weights, ends, turns_left
from whale_ros.planning.pace import Pace
from whale_ros.planning.proposals import deviation, fit, propose
from whale_ros.planning.screening import Choice, choose, judged_part, why_leaves
from whale_ros.planning.search import Search
from whale_ros.srv import Predict

NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
TICK_S = 0.02
POSE_TIMEOUT_S = 0.5
GATE_TIMEOUT_S = 0.3
GATE_GRACE_S = 0.15  # from sending a chunk until the gate must be heard to execute it
ROUND_MARGIN = 1.2  # another round is begun if the last one's time, so often, is left
FUTURE_S = 0.5  # a policy may begin with the next step of the running chunk
LOST_S = 5.0  # a question without an answer for so long was lost with its server


@dataclass
class Policy:
    """The newest candidate set: sequences (m, 7) and when they begin."""

    source: str
    sequences: list[tuple[float, np.ndarray]]


@dataclass
class Question:
    """Candidates that the world model was asked to imagine."""

    asked_at: float  # steady clock
    settled: Settled  # what the candidates begin with
    deadline_s: float  # when that ends
    policy: list[np.ndarray]  # sequences (n, 7) that follow it
    round: int
    names: list[str]
    candidates: np.ndarray  # (K, H, 7)
    messages: list[ActionSequence]
    deviation: np.ndarray  # (K,)
    answer: Future
    before: Question | None = None  # of the round before, which is answered
    why_void: str = ""
    given_up: bool = False  # a late answer is waited for, lest questions pile up, but not used


class PlannerNode(LeanLifecycleNode):
    """Configured it listens, active it plans and screens. A chunk that is approved runs to its end
    all the same: what stops the arm is `gate/stop`."""

    def __init__(self) -> None:
        """Raises BadParameter."""
        super().__init__("planner")
        self._values = values = declare(self, PARAMETERS, why_contradictory)
        self._space = action_space(values)
        self._limits = self._space.no_faster_than(
            values["max_linear_speed"], values["max_angular_speed"]
        )
        step_s = self._space.step_s
        least = whole_steps(values["planning_latency_s"], step_s)
        self._pace = Pace(least, values["horizon"], step_s, values["candidates"])
        self._rng = np.random.default_rng(values["seed"])
        searches = values["method"] != "policy"
        self._search = Search(values["method"], self._space, self._limits) if searches else None
        self._impasse = Impasse(values["when_nothing_passes"])
        self._goal: Pose | None = None
        self._active = False
        self._session = uuid.uuid4().hex
        self._chunks_sent = 0
        self._plans = 0
        self._policy: Policy | None = None
        self._policy_problem = ""
        self._heartbeat: tuple[float, Uncertainty] | None = None  # with its arrival
        self._gate: tuple[float, GateStatus] | None = None
        self._pose: tuple[float, Pose] | None = None
        self._moved_at = self._moved_s = -math.inf  # when the gate last executed: steady, ROS
        self._gripper = 0.0
        self._running: RunningChunk | None = None
        self._sent_at = -math.inf
        self._question: Question | None = None
        self._next_try = -math.inf
        self._reason = "not active"
        self._log = DecisionLog(self.get_logger())
        self._latency_s = math.nan

        self._chunks = self.create_publisher(ApprovedChunk, values["chunk_topic"], 1)
        self._decisions = self.create_publisher(PlanDecision, "~/decision", 10)
        self._open_question = self.create_publisher(String, "~/question", LATCHED)
        self._open_question.publish(String())
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 1)
        self._predict: Client = self.create_client(Predict, values["predict_service"])
        self.create_subscription(CandidateSet, values["candidates_topic"], self._on_candidates, 1)
        self.poll(Uncertainty, values["uncertainty_topic"], self._on_heartbeat, NEWEST)
        self.poll(GateStatus, values["gate_status_topic"], self._on_gate, 1)
        self.poll(PoseStamped, values["pose_topic"], self._on_pose, NEWEST)
        self.poll(Float64, values["gripper_command_topic"], self._on_gripper, 1)
        self.create_subscription(PoseStamped, values["goal_pose_topic"], self._on_goal_pose, 1)
        self._go_on = self.resolve_service_name("~/go_on")
        self.create_service(Trigger, self._go_on, self._on_go_on)
        self._screening = Screening(self, values, self._space, self._why_blind, self._position)
        self.create_timer(TICK_S, self._tick)
        self.create_timer(1.0, self._report)

    # Life cycle

    @property
    def autostart(self) -> bool:
        return self._values["autostart"]

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._active = True
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._rest()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._policy = self._goal = None
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._rest()
        return TransitionCallbackReturn.SUCCESS

    def _rest(self) -> None:
        self._active = False
        if self._question is not None:
            self._predict.remove_pending_request(self._question.answer)
        self._question = self._running = None
        self._hold("the planner is not active")

    # What comes in

    def _on_candidates(self, message: CandidateSet) -> None:
        try:
            sequences = to_sequences(message, self._space, self._values["base_frame"])
            self._policy = Policy(message.source, sequences)
            self._policy_problem = ""
        except BadSequence as error:
            self._policy = None
            self._policy_problem = f"candidate set of {message.source!r} rejected: {error}"
            self.get_logger().warning(self._policy_problem, throttle_duration_sec=2.0)

    def _on_heartbeat(self, message: Uncertainty) -> None:
        self._heartbeat = time.monotonic(), message

    def _on_gate(self, message: GateStatus) -> None:
        self._gate = time.monotonic(), message
        if message.state == GateStatus.EXECUTING:
            self._moved_at, self._moved_s = time.monotonic(), self._now()

    def _on_pose(self, message: PoseStamped) -> None:
        pose = to_pose(message)
        if why_bad(pose, self._values["base_frame"]) is None:
            self._pose = time.monotonic(), pose

    def _on_gripper(self, message: Float64) -> None:
        if 0 <= message.data <= 1:
            self._gripper = message.data

    def _on_goal_pose(self, message: PoseStamped) -> None:
        goal = to_pose(message)
        if why := why_bad(goal, self._values["base_frame"]):
            self.get_logger().error(f"goal pose refused: {why}")
            return
        self._goal = goal

    def _on_go_on(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        waited = self._impasse.waits_for_operator
        self._impasse.go_on()
        self._open_question.publish(String())
        response.success = waited
        response.message = "goes on" if waited else "nobody was asked: it plans already"
        return response

    # Planning

    def _tick(self) -> None:
        self.take_polled()
        if not self._active:
            return
        now = self._now()
        self._follow_gate(now)
        question = self._question
        if question is not None:
            # The gate takes no chunk that begins in the future.
            if question.answer.done() and self._has_another_round(question, now):
                self._ask_again(question, now)
            elif question.answer.done() and now >= question.settled.start_s:
                self._question = None
                if not question.given_up:
                    self._decide(question, now)
            elif question.given_up:
                self._forget_if_lost(question)
            elif question.before and now > question.deadline_s - 2 * TICK_S:
                question.given_up = True  # better what the round before found than nothing
                question.before.why_void = question.why_void
                self._decide(question.before, now)
            elif now > question.deadline_s:
                question.given_up = True
                waited_s = now - question.settled.start_s
                self._pace.too_late()
                self._hold(
                    f"the world model did not answer within {waited_s:.2f} s, planning_latency_s "
                    f"is {self._values['planning_latency_s']:g}; next time "
                    f"{self._pace.seconds:g} s for {self._pace.candidates} candidates"
                )
        elif self._may_ask(now):
            why = self._why_not_now()
            if why:
                self._next_try = time.monotonic() + self._space.step_s
                self._hold(why)
            else:
                self._ask(now)

    def _forget_if_lost(self, question: Question) -> None:
        if time.monotonic() - question.asked_at > LOST_S:
            self._question = None
            self._predict.remove_pending_request(question.answer)

    def _may_ask(self, now: float) -> bool:
        if self._impasse.waits_for_operator:
            return False
        if self._running is not None and self._moved_at < self._sent_at:
            return False  # it is not known yet whether the gate took the chunk
        due = is_due(self._running, now, self._pace.steps)
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
        if not self._active:
            return "the planner is not active"
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
        return self._pose[1].position

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
        limit_s = self._pace.seconds
        settled = settle(
            self._running,
            now,
            self._pace.steps,
            step_s,
            self._gripper,
            self._moved_s,
            limit_s if math.isnan(self._latency_s) else min(limit_s, self._latency_s),
        )
        policy = [
            follow(actions, began_s, settled, step_s)
            for began_s, actions in self._fresh_sequences(now)
        ]
        if self._search is not None:
            end_s = settled.start_s + len(settled.actions) * step_s
            gripper = float(settled.actions[-1, GRIPPER])
            self._search.begin(end_s, values["horizon"] - len(settled.actions), gripper)
            self._search.widen(self._impasse.width)
        self._plans += 1
        self._question = self._imagine(now, settled, policy, 1)

    def _has_another_round(self, question: Question, now: float) -> bool:
        """Whether there is time to have better candidates imagined."""
        if self._search is None or question.round >= self._values["rounds"] or question.given_up:
            return False
        return now + ROUND_MARGIN * self._latency_s < question.deadline_s

    def _ask_again(self, question: Question, now: float) -> None:
        answer = question.answer.result()
        assert answer is not None
        sound = not why_unusable(answer, question.names)
        if sound:
            self._learn(question, self._choose(question, answer))
        again = self._imagine(now, question.settled, question.policy, question.round + 1)
        again.why_void, again.before = question.why_void, question if sound else question.before
        self._question = again

    def _learn(self, question: Question, choice: Choice) -> None:
        if self._search is not None:
            self._search.learn(question.candidates, choice.passing_scores)

    def _propose(self, settled: Settled, policy: list[np.ndarray]) -> dict[str, np.ndarray]:
        count, horizon = self._pace.candidates, self._values["horizon"]
        if self._search is not None:
            return self._search.propose(settled.actions, policy, count, self._rng)
        return propose(
            settled.actions,
            policy,
            count,
            horizon,
            self._space,
            self._rng,
            self._impasse.width,
            self._limits,
        )

    def _imagine(
        self, now: float, settled: Settled, policy: list[np.ndarray], round: int
    ) -> Question:
        """Have candidates imagined that begin as settled."""
        values, frame = self._values, self._values["base_frame"]
        proposed = self._propose(settled, policy)
        plan = f"{self._plans}" if round == 1 else f"{self._plans}.{round}"
        names = [f"{plan}/{name}" for name in proposed]
        candidates = np.stack(list(proposed.values()))
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
        if tails := [tail for tail in policy if len(tail)]:
            new_steps = values["horizon"] - len(settled.actions)
            own = self._space.clip(fit(tails[0], new_steps))
            deviations = deviation(candidates, own, new_steps, self._space)
        question = Question(
            time.monotonic(),
            settled,
            settled.start_s + len(settled.actions) * self._space.step_s,
            policy,
            round,
            names,
            candidates,
            messages,
            deviations,
            self._predict.call_async(request),
        )

        def note_time(answer: Future) -> None:
            self._latency_s = time.monotonic() - question.asked_at
            if question.round == 1:
                self._pace.in_time(self._latency_s)

        question.answer.add_done_callback(note_time)
        return question

    def _decide(self, question: Question, now: float) -> None:
        answer = question.answer.result()
        assert answer is not None
        why = why_unusable(answer, question.names)
        if why and question.before is not None:
            question.before.why_void = question.why_void
            self._decide(question.before, now)
            return
        if why:
            self._hold(why)
            return
        choice = self._choose(question, answer)
        self._learn(question, choice)
        if not answer.message:  # else no threshold is valid: that is nothing to look around for
            self._impasse.decided(choice.index is not None)
        why = question.why_void or ("the answer came too late" if now > question.deadline_s else "")
        if choice.index is None:
            why = why or answer.message  # why there is no valid threshold
        else:
            why = why or self._why_nothing_new(question, answer) or self._why_no_value(answer)
        if choice.index is None and self._impasse.waits_for_operator:
            why = f"{why or choice.reason}; asks the operator: call {self._go_on} to go on"
            self._open_question.publish(String(data=why))
        if why:
            choice = replace(choice, index=None, reason=why)
        decision = PlanDecision(
            chosen_id="" if choice.index is None else question.names[choice.index],
            reason=choice.reason,
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
        self._publish(decision, choice.rejected)

    def _imagined(self, question: Question, answer: Predict.Response) -> int:
        """How many actions of the candidates were imagined."""
        observed_s, horizon = seconds(answer.observation_stamp), self._values["horizon"]
        return imagined_steps(observed_s, question.settled.start_s, horizon, self._space.step_s)

    def _why_nothing_new(self, question: Question, answer: Predict.Response) -> str:
        imagined, settled = self._imagined(question, answer), len(question.settled.actions)
        if imagined > settled:
            return ""
        old_s = question.settled.start_s - seconds(answer.observation_stamp)
        return (
            "no new action was imagined: when the candidates begin the newest image is "
            f"{old_s:.2f} s old, and {settled} actions are settled while the plan is made"
        )

    def _why_no_value(self, answer: Predict.Response) -> str:
        """Why candidates cannot be compared by the steps that are left; empty if they can, or if
        that was not asked for."""
        weight, first = self._values["value_weight"], answer.predictions[0]
        if not weight or first.steps_to_goal or not first.goal_distance:
            return ""
        return (
            f"value_weight is {weight!r}, but the world model has no value; "
            "train one with `whale train-value` or set it to 0"
        )

    def _choose(self, question: Question, answer: Predict.Response) -> Choice:
        uncertainty = np.array([p.uncertainty for p in answer.predictions])
        values = self._values
        weights = Weights(
            values["image_weight"],
            values["pose_weight"],
            values["turn_weight"],
            values["uncertainty_weight"],
            values["value_weight"],
        )
        image = [p.goal_distance[-1] for p in answer.predictions if p.goal_distance]
        left = [p.steps_to_goal[-1] for p in answer.predictions if p.steps_to_goal]
        low = np.array(self._values["workspace_low"])
        high = np.array(self._values["workspace_high"])
        position = self._position()
        passed = max(0.0, (self._now() - question.settled.start_s) / self._space.step_s)
        obstacles = [why_leaves(c, passed, position, low, high) for c in question.candidates]
        away = turn = None
        if self._goal is not None and self._pose is not None:
            goal_ends = ends(question.candidates, passed, position)
            away = np.linalg.norm(goal_ends - self._goal.position, axis=1)
            orientation = self._pose[1].quaternion
            turn = turns_left(question.candidates, passed, orientation, self._goal.quaternion)
        return choose(
            question.names,
            uncertainty,
            self._bound(answer.threshold),
            [
                judged_part(actions, prediction.took_part)
                for actions, prediction in zip(question.candidates, answer.predictions, strict=True)
            ],
            weights.cost(
                np.array(image) if image else None,
                away,
                turn,
                uncertainty,
                np.array(left) if left else None,
            ),
            question.deviation,
            self._values["policy_weight"],
            obstacles,
        )

    def _bound(self, threshold: float) -> float:
        """Of the uncertainty: none while the gate's mode says that checks are not enforced."""
        monitoring = self._gate and self._gate[1].mode == GateStatus.MODE_MONITOR_ONLY
        return MAX_UNCERTAINTY if monitoring else threshold

    def _approve(self, question: Question, index: int, answer: Predict.Response) -> None:
        length = len(question.settled.actions) + self._values["chunk_steps"]
        length = min(length, self._imagined(question, answer))  # what nobody imagined is not done
        actions = question.candidates[index, :length]
        name, frame = question.names[index], self._values["base_frame"]
        running = RunningChunk(question.settled.start_s, actions, self._space.step_s)
        chunk = ApprovedChunk(
            session=self._session,
            sequence=self._chunks_sent,
            expiry=Time(seconds=running.end_s).to_msg(),
            actions=to_message(actions, name, question.settled.start_s, self._space, frame),
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
        self._publish(PlanDecision(reason=reason, latency_s=self._latency_s), Counter())

    def _publish(self, decision: PlanDecision, rejected: Counter[str]) -> None:
        """rejected: how many of the candidates by what."""
        decision.header.stamp = self.get_clock().now().to_msg()
        decision.header.frame_id = self._values["base_frame"]
        self._decisions.publish(decision)
        self._log.tell(decision, rejected)
        self._reason = decision.reason

    # Clock, diagnostics

    def _now(self) -> float:
        return self.get_clock().now().nanoseconds * 1e-9

    def _report(self) -> None:
        status = DiagnosticStatus(
            name=f"{self.get_fully_qualified_name()}: planning", hardware_id=self._session
        )
        approves = self._running is not None
        status.level = DiagnosticStatus.OK if approves else DiagnosticStatus.WARN
        status.message = self._reason
        status.values = [
            KeyValue(key="latency_s", value=f"{self._latency_s:.3f}"),
            KeyValue(key="planning_latency_s", value=f"{self._pace.seconds:g}"),
            KeyValue(key="candidates", value=str(self._pace.candidates)),
            KeyValue(key="policy", value=self._policy.source if self._policy else ""),
            KeyValue(key="plans", value=str(self._plans)),
            KeyValue(key="chunks_sent", value=str(self._chunks_sent)),
        ]
        report = DiagnosticArray(status=[status, hearing(self)])
        report.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(report)


def main() -> None:
    rclpy.init()
    try:
        node = PlannerNode()
    except BadParameter as error:
        refuse("planner", error)
    if node.autostart:
        node.trigger_configure()
        node.trigger_activate()
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()
