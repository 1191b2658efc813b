"""Node `demo_observer`: notes down everything that the demonstration shows."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.client import Client
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

from whale_ros.data.frames import fit
from whale_ros.evaluation.demo_log import (
    CandidateNote,
    DecisionNote,
    DemoLog,
    GateNote,
    Heartbeat,
)
from whale_ros.msg import GateStatus, PlanDecision, SimState, Uncertainty
from whale_ros.nodes.commands import twist_array
from whale_ros.nodes.images import to_array, to_rgb
from whale_ros.nodes.sequences import seconds
from whale_ros.srv import Degrade, ResetTask, SetGateMode

PICTURE_SIZE = 64
Wait = Callable[[Callable[[], bool], float, str], bool]

# Deep queues: the observer must not miss what a node would not.
ALL = QoSProfile(depth=200, reliability=ReliabilityPolicy.RELIABLE)
ALL_BEST_EFFORT = QoSProfile(depth=200, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(
    depth=200, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)


class ServiceRefused(Exception):
    """A service did not do what it was asked to; the message says which, and why."""


class DemoObserver(Node):
    def __init__(self) -> None:
        super().__init__("demo_observer")
        self.log = DemoLog()
        self.success = False
        self._ready = False
        self._why = "nothing was heard of the world model"
        self._moving_since: float | None = None
        self._episode = 0
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)
        subscribe = self.create_subscription
        subscribe(GateStatus, "gate/status", self._note_gate, LATCHED)
        subscribe(TwistStamped, "arm/twist_command", self._note_command, ALL)
        subscribe(PoseStamped, "ee_pose", self._note_pose, ALL_BEST_EFFORT)
        subscribe(Uncertainty, "world_model/uncertainty", self._note_heartbeat, ALL_BEST_EFFORT)
        subscribe(PlanDecision, "planner/decision", self._note_decision, ALL)
        subscribe(Image, "camera/image", self._note_image, ALL_BEST_EFFORT)
        subscribe(SimState, "sim_robot/state", self._note_state, ALL_BEST_EFFORT)
        self._reset: Client = self.create_client(ResetTask, "sim_robot/reset_task")
        self._mode: Client = self.create_client(SetGateMode, "gate/set_mode")
        self._degrade: Client = self.create_client(Degrade, "sim_robot/degrade")

    def spin_once(self) -> None:
        self._executor.spin_once(timeout_sec=0.02)

    def now(self) -> float:
        return self.get_clock().now().nanoseconds * 1e-9

    def all_ready(self) -> bool:
        return self._ready and bool(self.log.gate) and self._reset.service_is_ready()

    def explain(self) -> str:
        """Why nothing moves, as far as the nodes say."""
        gate = self.log.gate[-1].reason if self.log.gate else "nothing was heard of it"
        return f"world model: {self._why or 'ready'}; gate: {gate}"

    def describe(self) -> str:
        """The gate's state in a few words, for the progress bar."""
        note = self.log.gate[-1]
        return f"executing, chunk {note.chunks_executed}" if note.executing else note.reason[:60]

    def moving_for(self) -> float:
        """Seconds since the gate began to execute without a break."""
        return 0.0 if self._moving_since is None else time.monotonic() - self._moving_since

    def reset_task(self, task: str, seed: int, wait: Wait) -> None:
        """As an operator would: hold the arm, rearrange the scene, let the gate go on."""
        before = self._episode
        self._call(self._mode, SetGateMode.Request(mode="hold"), wait)
        self._call(self._reset, ResetTask.Request(task=task, seed=seed), wait)
        wait(lambda: self._episode > before, 10.0, f"the reset to {task}")
        self._call(self._mode, SetGateMode.Request(mode="gate"), wait)
        self.success = False

    def degrade(self, kind: str, amount: float, wait: Wait) -> None:
        self._call(self._degrade, Degrade.Request(kind=kind, amount=amount), wait)

    def _call(self, client: Client, request: object, wait: Wait) -> None:
        future = client.call_async(request)
        wait(future.done, 20.0, client.srv_name)
        answer = future.result()
        if answer is None or not answer.success:
            raise ServiceRefused(f"{client.srv_name}: {answer.message if answer else 'no answer'}")

    def _note_gate(self, message: GateStatus) -> None:
        executing = message.state == GateStatus.EXECUTING
        if not executing:
            self._moving_since = None
        elif self._moving_since is None:
            self._moving_since = time.monotonic()
        self.log.gate.append(
            GateNote(
                seconds(message.header.stamp),
                executing,
                message.reason,
                tuple(check.name for check in message.checks if not check.ok),
                message.chunk_id,
                message.chunks_executed,
                message.cycle_lateness_s,
            )
        )

    def _note_command(self, message: TwistStamped) -> None:
        self.log.commands.append((seconds(message.header.stamp), twist_array(message.twist)))

    def _note_pose(self, message: PoseStamped) -> None:
        p = message.pose.position
        self.log.poses.append((seconds(message.header.stamp), np.array([p.x, p.y, p.z])))

    def _note_heartbeat(self, message: Uncertainty) -> None:
        self._ready, self._why = message.ready, message.message
        if not message.ready:
            return
        self.log.heartbeats.append(
            Heartbeat(
                seconds(message.header.stamp),
                message.uncertainty,
                message.threshold,
                message.familiarity_error,
                message.familiarity_threshold,
                message.latency_s,
            )
        )

    def _note_decision(self, message: PlanDecision) -> None:
        if not message.predictions:
            return
        candidates = []
        for i, prediction in enumerate(message.predictions):
            sequence = message.candidates[i]
            frames = [to_array(frame) for frame in prediction.frames]
            candidates.append(
                CandidateNote(
                    prediction.candidate_id,
                    np.reshape(sequence.actions, (sequence.horizon, sequence.dim)),
                    prediction.uncertainty,
                    message.threshold,
                    message.scores[i],
                    message.verdicts[i],
                    np.stack(frames) if frames else None,
                )
            )
        first = message.candidates[0]
        self.log.decisions.append(
            DecisionNote(
                seconds(message.header.stamp),
                seconds(first.header.stamp),
                seconds(first.step_duration),
                seconds(message.observation_stamp),
                message.chosen_id,
                message.reason,
                message.latency_s,
                candidates,
            )
        )

    def _note_image(self, message: Image) -> None:
        picture = fit(to_rgb(message), PICTURE_SIZE)
        self.log.images.append((seconds(message.header.stamp), picture))

    def _note_state(self, message: SimState) -> None:
        self._episode = message.episode
        self.success = message.success
