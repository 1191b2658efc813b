"""Node `demo_observer`: notes down everything that the demonstration shows."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import PoseStamped, TwistStamped
from sensor_msgs.msg import Image

from whale_ros.data.frames import fit
from whale_ros.data.images import to_array, to_rgb
from whale_ros.evaluation.demo_log import (
    CandidateNote,
    DecisionNote,
    DemoLog,
    GateNote,
    Heartbeat,
)
from whale_ros.msg import GateStatus, PlanDecision, Uncertainty
from whale_ros.nodes.commands import twist_array
from whale_ros.nodes.operator import ALL, ALL_BEST_EFFORT, Operator
from whale_ros.nodes.sequences import seconds

PICTURE_SIZE = 64


class DemoObserver(Operator):
    def __init__(self) -> None:
        super().__init__("demo_observer")
        self.log = DemoLog()
        self.poll(TwistStamped, "arm/twist_command", self._note_command, ALL)
        self.poll(PoseStamped, "ee_pose", self._note_pose, ALL_BEST_EFFORT)
        self.poll(PlanDecision, "planner/decision", self._note_decision, ALL)
        self.poll(Image, "camera/image", self._note_image, ALL_BEST_EFFORT)

    def on_gate(self, message: GateStatus) -> None:
        super().on_gate(message)
        self.log.gate.append(
            GateNote(
                seconds(message.header.stamp),
                message.state == GateStatus.EXECUTING,
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

    def on_heartbeat(self, message: Uncertainty) -> None:
        super().on_heartbeat(message)
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
