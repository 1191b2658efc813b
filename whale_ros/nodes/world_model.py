"""Node `world_model`: imagines candidates on request, and tells with every camera image how far
its imagination can be trusted."""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import rclpy
import torch
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Float64

from whale_ros.actions.timeline import CommandTimeline
from whale_ros.imagination.calibration import CALIBRATION
from whale_ros.imagination.live import MAX_HORIZON, CarryOver, Imagined, LiveModel, NotReady
from whale_ros.imagination.mosaic import mosaic
from whale_ros.imagination.retracing import K
from whale_ros.imagination.trust import Trust
from whale_ros.memory import keep_freed_memory
from whale_ros.msg import ActionSequence, GateStatus, PlanDecision, Prediction, Uncertainty
from whale_ros.nodes.commands import PoseDifferences, twist_array
from whale_ros.nodes.images import BadImage, from_array, to_rgb
from whale_ros.nodes.lean_node import LeanNode
from whale_ros.nodes.parameters import BadParameter, Parameter, declare
from whale_ros.nodes.sequences import BadSequence, seconds, to_actions
from whale_ros.nodes.topics import why_silent
from whale_ros.planning.screening import choose
from whale_ros.srv import LoadCheckpoint, Predict
from whale_ros.world_model.checkpoint import SHIPPED, Card, CheckpointError, load_checkpoint

MAX_CANDIDATES = 64
KEPT_IMAGES = 10

PARAMETERS = (
    Parameter("checkpoint", "", "Folder that `whale train` wrote; empty: the shipped one.",
              read_only=True),
    Parameter("calibration", "",
              "File that `whale calibrate` wrote; empty: calibration.json of the checkpoint.",
              read_only=True),
    Parameter("task", "", "Task whose own threshold counts, if it has one; empty: that of all.",
              read_only=True),
    Parameter("adaptive", False, "Let the thresholds follow a slow drift of the uncertainty.",
              read_only=True),
    Parameter("gate_status_topic", "gate/status", "GateStatus, in, to adapt.", read_only=True),
    Parameter("decision_topic", "planner/decision", "PlanDecision, in, to adapt.",
              read_only=True),
    Parameter("camera_topic", "camera/image", "sensor_msgs/Image to imagine from.",
              read_only=True),
    Parameter("image_width", 128, "Width of the camera's images; others are refused [pixels].",
              range=(32, 8192), read_only=True),
    Parameter("image_height", 128, "Height of the camera's images; others are refused [pixels].",
              range=(32, 8192), read_only=True),
    Parameter("command_topic", "arm/twist_command", "What the gate tells the arm.",
              read_only=True),
    Parameter("command_type", "twist", "Type of command_topic: TwistStamped or PoseStamped.",
              choices=("twist", "pose"), read_only=True),
    Parameter("gripper_command_topic", "gripper/command",
              "What the gate tells the gripper, std_msgs/Float64, 0 open .. 1 closed.",
              read_only=True),
    Parameter("base_frame", "base", "Frame of the actions.", read_only=True),
    Parameter("device", "auto", "Where to imagine; auto: a GPU if there is one.",
              choices=("auto", "cpu", "cuda"), read_only=True),
    Parameter("threads", 1, "CPU threads of torch; one is often fastest for small models.",
              range=(1, 64), read_only=True),
)  # fmt: skip

CAMERA = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)


@dataclass
class Loaded:
    """A checkpoint at work. Replaced as a whole, so whoever works with one takes it once."""

    live: LiveModel
    card: Card
    trust: Trust
    carry_over: CarryOver = field(default_factory=CarryOver)


class WorldModelNode(LeanNode):
    """Raises BadParameter or CheckpointError when it cannot start."""

    def __init__(self) -> None:
        super().__init__("world_model")
        self._values = declare(self, PARAMETERS)
        torch.set_num_threads(self._values["threads"])
        self._image_size = self._values["image_width"], self._values["image_height"]
        self._goal: Image | None = None
        self._loaded = self._load(self._values["checkpoint"], self._values["calibration"])
        self._commands = CommandTimeline()
        self._commands_lock = threading.Lock()
        self._twist, self._gripper = np.zeros(6), 0.0
        self._pose_differences = PoseDifferences()
        # A few, so that the history has no gap when judging one takes longer than a period.
        self._images: deque[Image] = deque(maxlen=KEPT_IMAGES)
        self._image_arrived = threading.Condition()
        self._why_not_ready = "no image yet"

        self._uncertainty = self.create_publisher(Uncertainty, "~/uncertainty", NEWEST)
        self._mosaic = self.create_publisher(Image, "~/rollout_mosaic", 1)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 1)
        values = self._values
        self.create_subscription(Image, values["camera_topic"], self._keep_image, CAMERA)
        self.create_subscription(Image, "goal_image", self._take_goal, LATCHED)
        if values["command_type"] == "twist":
            self.create_subscription(TwistStamped, values["command_topic"], self._log_twist, NEWEST)
        else:
            self.create_subscription(PoseStamped, values["command_topic"], self._log_pose, NEWEST)
        self.create_subscription(
            Float64, values["gripper_command_topic"], self._log_gripper, NEWEST
        )
        if values["adaptive"]:
            self.create_subscription(GateStatus, values["gate_status_topic"], self._on_gate, NEWEST)
            self.create_subscription(PlanDecision, values["decision_topic"], self._on_decision, 1)
        self.create_timer(1.0, self._report)
        self._running = True
        self._watcher = threading.Thread(target=self._watch, name="watch")
        self._watcher.start()
        self.get_logger().info(
            f"checkpoint {self._loaded.card.sha256[:12]}, {self._loaded.card.config.name}, "
            f"actions {self._loaded.card.action_space.signature}"
        )

    def stop(self) -> None:
        """End the thread that judges images; publishes nothing afterwards."""
        self._running = False
        self._watcher.join()

    def _load(self, checkpoint: str, calibration: str) -> Loaded:
        """Without a valid calibration it runs, so that it can say so; but nothing is trusted.

        Raises CheckpointError.
        """
        folder = Path(checkpoint or SHIPPED)
        model, card = load_checkpoint(folder)
        device = self._values["device"]
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        trust = Trust(
            card,
            Path(calibration or folder / CALIBRATION),
            self._values["task"],
            self._values["adaptive"],
            self._image_size,
        )
        if trust.void:
            self.get_logger().error(trust.void)
        return Loaded(LiveModel(model.to(device)), card, trust)

    def load(
        self, request: LoadCheckpoint.Request, response: LoadCheckpoint.Response
    ) -> LoadCheckpoint.Response:
        """Replace the checkpoint. Until the new one has seen enough images it is not ready."""
        try:
            if not request.checkpoint:
                raise ValueError("name the folder of a checkpoint")
            loaded = self._load(request.checkpoint, request.calibration)
            if self._goal is not None:
                loaded.live.set_goal(to_rgb(self._goal))
        except Exception as error:  # what runs is sound, and must go on
            response.message = f"{error}; checkpoint {self._loaded.card.sha256[:12]} runs on"
            self.get_logger().error(response.message)
        else:
            self._loaded = loaded
            response.success, response.message = True, loaded.trust.void
            self.get_logger().info(f"checkpoint {loaded.card.sha256[:12]} runs now")
        response.sha256 = self._loaded.card.sha256
        return response

    # Callbacks that only store the newest.

    def _keep_image(self, message: Image) -> None:
        with self._image_arrived:
            self._images.append(message)
            self._image_arrived.notify()

    def _log_twist(self, message: TwistStamped) -> None:
        self._twist = twist_array(message.twist)
        self._log_command(seconds(message.header.stamp))

    def _log_pose(self, message: PoseStamped) -> None:
        difference = self._pose_differences.twist(message)
        if difference is not None:
            since, self._twist = difference
            self._log_command(since)

    def _log_gripper(self, message: Float64) -> None:
        self._gripper = message.data

    def _on_gate(self, message: GateStatus) -> None:
        factor = self._loaded.trust.factor
        if factor is not None:
            factor.executing = message.state == GateStatus.EXECUTING

    def _on_decision(self, message: PlanDecision) -> None:
        """Note what would be chosen if there were no threshold: so it was calibrated too."""
        sound = [
            (score, prediction.uncertainty)
            for score, prediction in zip(message.scores, message.predictions, strict=False)
            if np.isfinite(score) and prediction.uncertainty > 0
        ]
        factor, scales = self._loaded.trust.factor, self._loaded.card.scales
        if factor is not None and sound:
            _, uncertainty = min(sound)
            factor.see_choice(uncertainty / scales.candidate_uncertainty)

    def _log_command(self, stamp_s: float) -> None:
        if np.isfinite(self._twist).all() and np.isfinite(self._gripper):
            with self._commands_lock:
                self._commands.add(stamp_s, self._twist, self._gripper)

    def _command_history(self) -> CommandTimeline:
        with self._commands_lock:
            return self._commands.copy()

    # The present, judged with every image.

    def _watch(self) -> None:
        while self._running:
            with self._image_arrived:
                if not self._images:
                    self._image_arrived.wait(0.5)
                messages = list(self._images)
                self._images.clear()
            began = time.monotonic()
            try:
                heartbeat = self._judge(messages)
            except Exception as error:  # whatever it is, the gate must hear that nothing is known
                if not rclpy.ok():
                    return
                heartbeat = self._not_ready(f"failed: {error!r}")
            if self._why_not_ready and heartbeat.ready:
                self.get_logger().info("ready")
            self._why_not_ready = heartbeat.message
            if heartbeat.message:
                self.get_logger().warning(heartbeat.message, throttle_duration_sec=2.0)
            if self._running:
                self._uncertainty.publish(heartbeat)
            # At most half of the time, or a fast camera would leave nothing for imagining.
            if self._loaded.live.is_imagining:
                with self._image_arrived:
                    took_s = time.monotonic() - began
                    self._image_arrived.wait_for(lambda: not self._running, took_s)

    def _judge(self, messages: list[Image]) -> Uncertainty:
        """Take all in, and judge the newest."""
        if not messages:
            return self._not_ready(why_silent(self, self._values["camera_topic"], Image))
        newest, loaded = messages[-1], self._loaded
        live, trust, scales = loaded.live, loaded.trust, loaded.card.scales
        for message in messages:
            trust.see_image(message.header.frame_id, message.width, message.height)
            if (message.width, message.height) != self._image_size:
                return self._not_ready(trust.why_not())
        stamp_s = seconds(newest.header.stamp)
        try:
            live.observe(
                [seconds(message.header.stamp) for message in messages],
                [to_rgb(message) for message in messages],
            )
            if why := trust.why_not():
                return self._not_ready(why)
            judgement = live.judge(self._command_history())
        except (BadImage, NotReady) as error:
            return self._not_ready(str(error))
        value = loaded.carry_over(stamp_s, judgement.retraced, judgement.uncertainty)
        if trust.factor is not None:
            scores = value / scales.live_uncertainty, judgement.unfamiliarity / scales.unfamiliarity
            trust.factor.see_image(stamp_s, *scores)
        trust.use()
        return Uncertainty(
            header=newest.header,
            ready=True,
            uncertainty=value,
            disagreement=judgement.disagreement,
            entropy=judgement.entropy,
            product=judgement.disagreement * judgement.entropy,
            sum=judgement.disagreement + judgement.entropy,
            took_part=_bits(judgement.took_part),
            familiarity_error=judgement.unfamiliarity,
            threshold=trust.threshold(scales.live_uncertainty),
            familiarity_threshold=trust.threshold(scales.unfamiliarity),
            checkpoint=loaded.card.sha256,
            latency_s=self.get_clock().now().nanoseconds * 1e-9 - stamp_s,
        )

    def _not_ready(self, why: str) -> Uncertainty:
        unknown, loaded = float("nan"), self._loaded
        return Uncertainty(
            ready=False,
            uncertainty=unknown,
            disagreement=unknown,
            entropy=unknown,
            product=unknown,
            sum=unknown,
            familiarity_error=unknown,
            threshold=loaded.trust.threshold(loaded.card.scales.live_uncertainty),
            familiarity_threshold=loaded.trust.threshold(loaded.card.scales.unfamiliarity),
            checkpoint=loaded.card.sha256,
            message=why,
        )

    # Candidates, imagined on request.

    def _take_goal(self, message: Image) -> None:
        try:
            self._loaded.live.set_goal(to_rgb(message))
            self._goal = message
        except BadImage as error:
            self.get_logger().error(f"goal_image refused: {error}")

    def predict(self, request: Predict.Request, response: Predict.Response) -> Predict.Response:
        """Answer a request, whatever happens."""
        response.threshold = float("nan")
        loaded = self._loaded
        response.checkpoint = loaded.card.sha256
        try:
            self._imagine(loaded, request, response)
        except (BadSequence, NotReady) as error:
            response.message = str(error)
        except Exception as error:
            response.message = f"the world model failed: {error!r}"
            if rclpy.ok():
                self.get_logger().error(response.message, throttle_duration_sec=2.0)
        return response

    def _imagine(
        self, loaded: Loaded, request: Predict.Request, response: Predict.Response
    ) -> None:
        began = time.monotonic()
        candidates = request.candidate_set.candidates
        actions = self._actions(loaded.card, candidates)
        imagined = loaded.live.predict(
            seconds(candidates[0].header.stamp),
            actions,
            self._command_history(),
            request.every_step,
        )
        count, horizon = actions.shape[:2]
        asked = {"candidates": count, "horizon": horizon}
        response.message = loaded.trust.why_not(**asked)
        response.threshold = loaded.trust.threshold(
            loaded.card.scales.candidate_uncertainty, **asked
        )
        response.predictions = self._predictions(candidates, imagined, response.threshold)
        if request.return_frames or self._mosaic.get_subscription_count():
            self._show(loaded.live, response.predictions, imagined, request.return_frames)
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
        space, frame = card.action_space, self._values["base_frame"]
        return np.stack([to_actions(candidate, space, frame) for candidate in candidates])

    def _predictions(
        self, candidates: list[ActionSequence], imagined: Imagined, threshold: float
    ) -> list[Prediction]:
        steps, distance = imagined.steps, imagined.goal_distance
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
                    took_part=[_bits(used) for used in steps.took_part[row].numpy()],
                    goal_distance=[] if distance is None else distance[row].tolist(),
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
        return [not verdict.startswith("rejected") for verdict in choice.verdicts]

    def _show(
        self, live: LiveModel, predictions: list[Prediction], imagined: Imagined, in_reply: bool
    ) -> None:
        pictures = live.decode(imagined)
        if in_reply:
            for prediction, row in zip(predictions, pictures, strict=True):
                prediction.frames = [from_array(picture, "rgb8") for picture in row]
        if self._mosaic.get_subscription_count():
            labels = [f"{p.candidate_id}  U {p.uncertainty:.4f}" for p in predictions]
            picture = mosaic(pictures, labels, [p.trusted for p in predictions])
            self._mosaic.publish(from_array(picture, "rgb8"))

    def _report(self) -> None:
        ready = not self._why_not_ready
        status = DiagnosticStatus(
            name=f"{self.get_fully_qualified_name()}: imagination",
            level=DiagnosticStatus.OK if ready else DiagnosticStatus.ERROR,
            message=self._why_not_ready or "ready",
            hardware_id=self._loaded.card.sha256[:12],
            values=[KeyValue(key="uncertainty", value=f"{self._loaded.carry_over.value:.5f}")],
        )
        report = DiagnosticArray(status=[status])
        report.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(report)


def _bits(took_part: np.ndarray) -> int:
    """(len(K),) bool as a number: bit k-1 is set if that k took part."""
    return sum(1 << (k - 1) for k, used in zip(K, took_part, strict=True) if used)


class Predictor:
    """The services in a thread of their own, so that imagining stops no subscription.

    It has a node of its own too: an executor of several threads would wake up again and again
    for as long as one of them is busy, and leave nothing of the interpreter to the others.
    """

    def __init__(self, node: WorldModelNode) -> None:
        name = node.get_fully_qualified_name()
        self._node = rclpy.create_node(
            f"{node.get_name()}_predictor",
            namespace=node.get_namespace(),
            use_global_arguments=False,
            start_parameter_services=False,
        )
        self._node.create_service(Predict, f"{name}/predict", node.predict)
        self._node.create_service(LoadCheckpoint, f"{name}/load_checkpoint", node.load)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._thread = threading.Thread(target=self._spin, name="predict")
        self._thread.start()

    def stop(self) -> None:
        self._executor.shutdown()
        self._thread.join()

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except (ExternalShutdownException, RuntimeError):
            if rclpy.ok():  # else the end came while a request was being answered
                raise


def main() -> None:
    # Torch gives the interpreter away at every operation, and waits this long to get it back
    # from the thread that takes messages in.
    sys.setswitchinterval(0.0002)
    keep_freed_memory()
    rclpy.init()
    try:
        node = WorldModelNode()
    except (BadParameter, CheckpointError) as error:
        sys.exit(f"world_model: {error}")
    predictor = Predictor(node)
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        predictor.stop()
        node.stop()
        rclpy.try_shutdown()
