"""The services of the world model: imagine candidates, load another checkpoint."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import rclpy
import torch
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.task import Future
from sensor_msgs.msg import Image

from whale_ros.imagination.live import MAX_HORIZON, Imagined, NotReady
from whale_ros.imagination.loaded import Loaded
from whale_ros.imagination.mosaic import mosaic
from whale_ros.imagination.retracing import bits
from whale_ros.imagination.right_of_way import Rank
from whale_ros.msg import ActionSequence, Prediction
from whale_ros.nodes.images import from_array
from whale_ros.nodes.sequences import BadSequence, seconds, to_actions
from whale_ros.planning.screening import choose
from whale_ros.srv import LoadCheckpoint, Predict
from whale_ros.world_model.checkpoint import Card

if TYPE_CHECKING:
    from whale_ros.nodes.world_model import WorldModelNode

MAX_CANDIDATES = 64


class Predictor:
    """In a thread of its own, so that imagining stops no subscription; a second one is patient.

    It has a node of its own too: an executor of several threads would wake up again and again
    for as long as one of them is busy, and leave nothing of the interpreter to the others. Its
    names are those of the main node, remapped as that one was told.
    """

    def __init__(self, main: WorldModelNode) -> None:
        self._main = main
        self._node = rclpy.create_node(
            f"{main.get_name()}_predictor",
            namespace=main.get_namespace(),
            use_global_arguments=False,
            start_parameter_services=False,
        )
        # A patient request does not keep its group from the others while it waits.
        group = ReentrantCallbackGroup()
        predict = main.resolve_service_name("~/predict")
        load = main.resolve_service_name("~/load_checkpoint")
        shown = main.resolve_topic_name("~/rollout_mosaic")
        self._node.create_service(Predict, predict, self._predict, callback_group=group)
        self._node.create_service(LoadCheckpoint, load, self._load)
        self._mosaic = self._node.create_publisher(Image, shown, 1)
        self._patient = threading.Thread()
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, name="predict")
        self._thread.start()

    def stop(self) -> None:
        if self._patient.is_alive():
            self._patient.join()
        self._executor.shutdown()
        self._thread.join()

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except (ExternalShutdownException, RuntimeError):
            if rclpy.ok():  # else the end came while a request was being answered
                raise

    def _load(
        self, request: LoadCheckpoint.Request, response: LoadCheckpoint.Response
    ) -> LoadCheckpoint.Response:
        """Replace the checkpoint. Until the new one has seen enough images it is not ready."""
        try:
            if self._main.active() is None:
                raise ValueError("the world model is not active")
            if not request.checkpoint:
                raise ValueError("name the folder of a checkpoint")
            loaded = self._main.load(request.checkpoint, request.calibration, True)
        except Exception as error:  # what runs is sound, and must go on
            response.message = f"{error}; what runs goes on"
            self._main.get_logger().error(response.message)
        else:
            response.success, response.message = True, loaded.trust.void
        if (runs := self._main.active()) is not None:
            response.sha256 = runs.card.sha256
        return response

    async def _predict(
        self, request: Predict.Request, response: Predict.Response
    ) -> Predict.Response:
        response.threshold = float("nan")
        if not request.patient:
            return self._answer(request, response)
        if self._patient.is_alive():
            response.message = "another patient request is not answered yet; ask again after it"
            return response
        answered: Future = Future(executor=self._executor)

        def answer() -> None:
            answered.set_result(self._answer(request, response))
            self._executor.wake()

        self._patient = threading.Thread(target=answer, name="predict patiently")
        self._patient.start()
        return await answered

    def _answer(self, request: Predict.Request, response: Predict.Response) -> Predict.Response:
        """Answer a request, whatever happens."""
        loaded = self._main.active()
        if loaded is None:
            response.message = "the world model is not active"
            return response
        response.checkpoint = loaded.card.sha256
        if why := self._main.why_exhausted():
            response.message = why
            return response
        try:
            self._imagine(loaded, request, response)
        except (BadSequence, NotReady) as error:
            response.message = str(error)
        except Exception as error:
            self._main.on_failure(error)
            response.message = f"the world model failed: {error!r}"
            if rclpy.ok():
                self._main.get_logger().error(response.message, throttle_duration_sec=2.0)
        return response

    def _imagine(
        self, loaded: Loaded, request: Predict.Request, response: Predict.Response
    ) -> None:
        began = time.monotonic()
        candidates = request.candidate_set.candidates
        actions = self._actions(loaded.card, candidates)
        rank = Rank.PATIENT if request.patient else Rank.PLAN
        imagined = loaded.live.predict(
            seconds(candidates[0].header.stamp),
            actions,
            self._main.command_history(),
            request.every_step,
            rank,
        )
        count, horizon = actions.shape[:2]
        asked = {"candidates": count, "horizon": horizon}
        response.message = loaded.trust.why_not(**asked)
        response.threshold = loaded.trust.threshold("candidate_uncertainty", **asked)
        response.predictions = self._predictions(candidates, imagined, response.threshold)
        if request.return_frames or self._mosaic.get_subscription_count():
            pictures = loaded.live.decode(imagined, rank)
            self._show(response.predictions, pictures, request.return_frames)
        response.success = True
        response.observation_stamp = rclpy.time.Time(seconds=imagined.stamp_s).to_msg()
        response.latency_s = time.monotonic() - began

    def _actions(self, card: Card, candidates: list[ActionSequence]) -> np.ndarray:
        """(K, H, 7). Raises BadSequence; looks at sizes before anything is allocated."""
        if not 1 <= len(candidates) <= MAX_CANDIDATES:
            raise BadSequence(f"{len(candidates)} candidates, expected 1 to {MAX_CANDIDATES}")
        first = candidates[0]
        for candidate in candidates:
            if candidate.horizon > MAX_HORIZON:
                raise BadSequence(
                    f"sequence {candidate.id!r} has {candidate.horizon} actions, "
                    f"this model imagines at most {MAX_HORIZON}"
                )
            if (candidate.horizon, candidate.header.stamp) != (first.horizon, first.header.stamp):
                raise BadSequence(
                    f"sequence {candidate.id!r} differs from the first one in horizon or stamp"
                )
        space, frame = card.action_space, self._main.base_frame
        return np.stack([to_actions(candidate, space, frame) for candidate in candidates])

    def _predictions(
        self, candidates: list[ActionSequence], imagined: Imagined, threshold: float
    ) -> list[Prediction]:
        steps, distance, left = imagined.steps, imagined.goal_distance, imagined.steps_to_goal
        trusted = self._trusted(candidates, imagined, threshold)
        predictions = []
        for row, candidate in enumerate(candidates):
            uncertainty = float(imagined.retracing.uncertainty[row])
            predictions.append(
                Prediction(
                    candidate_id=candidate.id,
                    uncertainty=uncertainty,
                    disagreement=steps.disagreement[row].tolist(),
                    entropy=steps.entropy[row].tolist(),
                    product=steps.product[row].tolist(),
                    sum=steps.sum[row].tolist(),
                    took_part=[bits(used) for used in steps.took_part[row].numpy()],
                    goal_distance=[] if distance is None else distance[row].tolist(),
                    steps_to_goal=[] if left is None else left[row].tolist(),
                    trusted=trusted[row],
                )
            )
        return predictions

    def _trusted(
        self, candidates: list[ActionSequence], imagined: Imagined, threshold: float
    ) -> list[bool]:
        """As the planner would, which goes by more than the threshold."""
        count, retracing = len(candidates), imagined.retracing
        frames = torch.arange(1, retracing.took_part.shape[1] + 1)
        judged = torch.where(retracing.took_part.any(dim=2), frames, 0).amax(dim=1).tolist()
        choice = choose(
            [candidate.id for candidate in candidates],
            retracing.uncertainty.numpy(),
            threshold,
            [
                np.reshape(c.actions, (c.horizon, c.dim))[:n]
                for c, n in zip(candidates, judged, strict=True)
            ],
            np.zeros(count),
            np.zeros(count),
            0.0,
            [None] * count,
        )
        return choice.passed.tolist()

    def _show(self, predictions: list[Prediction], pictures: np.ndarray, in_reply: bool) -> None:
        if in_reply:
            for prediction, row in zip(predictions, pictures, strict=True):
                prediction.frames = [from_array(picture, "rgb8") for picture in row]
        if self._mosaic.get_subscription_count():
            labels = [f"{p.candidate_id}  U {p.uncertainty:.4f}" for p in predictions]
            picture = mosaic(pictures, labels, [p.trusted for p in predictions])
            self._mosaic.publish(from_array(picture, "rgb8"))
