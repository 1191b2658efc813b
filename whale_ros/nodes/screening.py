"""Service `~/screen_actions` of the planner: its verdict on a policy's sequences, none executed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.client import Client
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.time import Time

from whale_ros.actions.space import GRIPPER, ActionSpace
from whale_ros.msg import ActionSequence, CandidateSet, Prediction
from whale_ros.nodes.parameters import Parameter
from whale_ros.nodes.predictions import why_unusable
from whale_ros.nodes.sequences import BadSequence, seconds, to_actions, to_message
from whale_ros.planning.commitment import stand_still
from whale_ros.planning.screening import choose, judged_part, why_leaves
from whale_ros.srv import Predict, ScreenActions

SCREENING_PARAMETERS = (
    Parameter(
        "screening_timeout_s",
        5.0,
        "Without an answer of the world model within this time, a screening is refused.",
        range=(0.1, 60.0),
    ),
)


class Refused(Exception):
    """A request cannot be answered; the message says why."""


class Screening:
    """Publishes nothing. A part of the planner's node, with its parameters, pose and rules."""

    def __init__(
        self,
        node: Node,
        values: dict,
        space: ActionSpace,
        why_blind: Callable[[], str],
        position: Callable[[], np.ndarray],
    ) -> None:
        """why_blind: why nothing can be imagined now, or "". position: (3,), asked only if not."""
        self._node = node
        self._values = values
        self._space = space
        self._why_blind = why_blind
        self._position = position
        self._busy = False
        # Of its own: what shares a group with a callback that waits for an answer waits too.
        self._group = ReentrantCallbackGroup()
        self._predict: Client = node.create_client(
            Predict, values["predict_service"], callback_group=self._group
        )
        node.create_service(
            ScreenActions, "~/screen_actions", self._screen, callback_group=self._group
        )

    async def _screen(
        self, request: ScreenActions.Request, response: ScreenActions.Response
    ) -> ScreenActions.Response:
        began = time.monotonic()
        count = len(request.candidate_set.candidates)
        # One a sequence in any case: all() of an empty list is true.
        response.trusted = [False] * count
        response.verdicts = ["not judged"] * count
        response.threshold = math.nan
        try:
            await self._judge(request, response)
            response.success = True
        except Refused as refusal:
            response.message = str(refusal)
        response.latency_s = time.monotonic() - began
        return response

    async def _judge(
        self, request: ScreenActions.Request, response: ScreenActions.Response
    ) -> None:
        """Raises Refused."""
        sequences, most = request.candidate_set.candidates, self._values["candidates"]
        if not 1 <= len(sequences) <= most:
            raise Refused(
                f"{len(sequences)} sequences, expected 1 to {most}: the threshold is calibrated "
                "for so many at most (parameter candidates of the planner)"
            )
        if self._busy:
            raise Refused("another screening is not answered yet; ask again after it")
        now = self._node.get_clock().now().nanoseconds * 1e-9
        verdicts = response.verdicts
        predictions = [Prediction(candidate_id=s.id, uncertainty=math.nan) for s in sequences]
        sound: dict[int, np.ndarray] = {}
        for i, sequence in enumerate(sequences):
            try:
                sound[i] = self._padded(sequence, now)
            except BadSequence as error:
                verdicts[i] = f"rejected: {error}"
        if sound:
            self._busy = True
            try:
                answer, found = await self._imagine(request, sound, now)
            finally:
                self._busy = False
            for i, prediction, verdict in zip(sound, answer.predictions, found, strict=False):
                predictions[i], verdicts[i] = prediction, verdict
                response.trusted[i] = prediction.trusted = verdict == "passed"
            response.message = answer.message
            response.threshold = answer.threshold
            response.observation_stamp = answer.observation_stamp
        response.verdicts, response.predictions = verdicts, predictions

    def _padded(self, sequence: ActionSequence, now: float) -> np.ndarray:
        """(horizon, 7): the sequence, then standing still. Raises BadSequence."""
        horizon, most_s = self._values["horizon"], self._values["policy_timeout_s"]
        actions = to_actions(sequence, self._space, self._values["base_frame"])
        if len(actions) > horizon:
            raise BadSequence(
                f"sequence {sequence.id!r}: it has {len(actions)} actions, at most {horizon} are "
                "imagined (parameter horizon of the planner)"
            )
        start_s = seconds(sequence.header.stamp)
        if start_s and abs(start_s - now) > most_s:
            raise BadSequence(
                f"sequence {sequence.id!r}: it begins {start_s - now:.2f} s from now, allowed is "
                f"-{most_s:g} to {most_s:g} s (policy_timeout_s), or stamp 0, which means now"
            )
        still = stand_still(horizon - len(actions), float(actions[-1, GRIPPER]))
        return np.concatenate([actions, still])

    async def _imagine(
        self, request: ScreenActions.Request, sound: dict[int, np.ndarray], now: float
    ) -> tuple[Predict.Response, list[str]]:
        """What the world model says of sequences (horizon, 7), and the planner's verdicts on them.

        Both in the order of `sound`; its keys are places in the request. Raises Refused.
        """
        if why := self._why_blind():
            raise Refused(why)
        position = self._position()
        names = [request.candidate_set.candidates[i].id for i in sound]
        candidates = list(sound.values())
        frame = self._values["base_frame"]
        messages = [
            to_message(actions, name, now, self._space, frame)
            for name, actions in zip(names, candidates, strict=True)
        ]
        question = Predict.Request(
            return_frames=request.return_frames, every_step=request.every_step, patient=True
        )
        question.candidate_set = CandidateSet(
            source=request.candidate_set.source, candidates=messages
        )
        question.candidate_set.header.stamp = Time(seconds=now).to_msg()
        question.candidate_set.header.frame_id = frame
        answer = await self._ask(question)
        return answer, self._verdicts(names, candidates, answer, position)

    async def _ask(self, question: Predict.Request) -> Predict.Response:
        """Raises Refused, also without an answer in time: a server that dies gives none."""
        limit_s = self._values["screening_timeout_s"]
        pending = self._predict.call_async(question)
        timer = self._node.create_timer(
            limit_s,
            pending.cancel,
            callback_group=self._group,
            clock=Clock(clock_type=ClockType.STEADY_TIME),
        )
        try:
            answer = await pending
        finally:
            self._node.destroy_timer(timer)
        if answer is None:
            raise Refused(
                f"the world model did not answer within {limit_s:g} s (screening_timeout_s)"
            )
        asked = [message.id for message in question.candidate_set.candidates]
        if why := why_unusable(answer, asked):
            raise Refused(why)
        return answer

    def _verdicts(
        self,
        names: list[str],
        candidates: list[np.ndarray],
        answer: Predict.Response,
        position: np.ndarray,
    ) -> list[str]:
        """One for each of the candidates (horizon, 7); here "chosen" is no more than "passed"."""
        predictions = answer.predictions[: len(names)]
        low = np.array(self._values["workspace_low"])
        high = np.array(self._values["workspace_high"])
        choice = choose(
            names,
            np.array([p.uncertainty for p in predictions]),
            answer.threshold,
            [judged_part(a, p.took_part) for a, p in zip(candidates, predictions, strict=True)],
            np.array([p.goal_distance[-1] if p.goal_distance else 0.0 for p in predictions]),
            np.zeros(len(names)),
            0.0,
            [why_leaves(actions, 0.0, position, low, high) for actions in candidates],
        )
        return ["passed" if verdict == "chosen" else verdict for verdict in choice.verdicts]
