"""Node `world_model`: imagines candidates on request, and tells with every camera image how far
its imagination can be trusted."""

from __future__ import annotations

import math
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from functools import partial

import numpy as np
import rclpy
import torch
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.executors import ExternalShutdownException
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Float64

from whale_ros.actions.timeline import CommandTimeline
from whale_ros.data.images import BadImage, to_rgb
from whale_ros.imagination.device_errors import (
    Shortages,
    free_memory,
    is_for_good,
    is_out_of_memory,
)
from whale_ros.imagination.live import LiveModel, NotReady
from whale_ros.imagination.loaded import Loaded, load
from whale_ros.imagination.retracing import bits
from whale_ros.memory import keep_freed_memory
from whale_ros.msg import GateStatus, PlanDecision, Uncertainty
from whale_ros.nodes.commands import PoseDifferences, twist_array
from whale_ros.nodes.lean_node import LeanLifecycleNode
from whale_ros.nodes.parameters import BadParameter, Parameter, declare, refuse
from whale_ros.nodes.predictor import Predictor
from whale_ros.nodes.sequences import seconds
from whale_ros.nodes.topics import hearing, why_silent
from whale_ros.world_model.checkpoint import CheckpointError

KEPT_IMAGES = 10
# Of the time for judging, so that a slow machine can hear too; while candidates are imagined, which
# it would slow down, it may wait. But an uncertainty is carried over for CARRY_OVER_S at most.
JUDGING_SHARE, LONGEST_PAUSE_S = 1 / 3, 0.4
COMMAND_TIMEOUT_S = 0.5  # the gate commands a hundred times a second, also while it holds

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
    Parameter("autostart", True,
              "Configure and activate at the start; else a life cycle manager does.",
              read_only=True),
    Parameter("threads", 1, "CPU threads of torch; one is often fastest for small models.",
              range=(1, 64), read_only=True),
)  # fmt: skip

COMMANDS = QoSProfile(depth=200, reliability=ReliabilityPolicy.BEST_EFFORT)
CAMERA = QoSProfile(depth=5, reliability=ReliabilityPolicy.BEST_EFFORT)
NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(
    depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)


class WorldModelNode(LeanLifecycleNode):
    """Configured it holds a model, active it judges every image and imagines candidates."""

    def __init__(self) -> None:
        """Raises BadParameter."""
        super().__init__("world_model")
        self._values = declare(self, PARAMETERS)
        torch.set_num_threads(self._values["threads"])
        self._image_size = self._values["image_width"], self._values["image_height"]
        self._loaded: Loaded | None = None
        self._state_lock = threading.Lock()  # loading takes seconds; meanwhile the state may change
        self._goal: np.ndarray | None = None  # (height, width, 3) uint8 RGB
        self._commands = CommandTimeline()
        self._commands_lock = threading.Lock()
        self._twist, self._gripper = np.zeros(6), 0.0
        self._commanded_at = -math.inf  # steady clock
        self._pose_differences = PoseDifferences()
        # A few, so that the history has no gap when judging one takes longer than a period.
        self._images: deque[Image] = deque(maxlen=KEPT_IMAGES)
        self._image_arrived = threading.Condition()
        self._judged_at, self._judging_s = -math.inf, 0.0  # steady clock, and how long it took
        self._why_not_ready = "not configured"
        self._running = False
        self._watcher = threading.Thread()
        self.refusal = ""  # why it cannot be configured like this

        self._uncertainty = self.create_publisher(Uncertainty, "~/uncertainty", NEWEST)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 1)
        values = self._values
        self.create_subscription(Image, values["camera_topic"], self._keep_image, CAMERA)
        self.create_subscription(Image, "goal_image", self._take_goal, LATCHED)
        if values["command_type"] == "twist":
            self.poll(TwistStamped, values["command_topic"], self._log_twist, COMMANDS)
        else:
            self.poll(PoseStamped, values["command_topic"], self._log_pose, COMMANDS)
        self.poll(Float64, values["gripper_command_topic"], self._log_gripper, COMMANDS)
        if values["adaptive"]:
            self.create_subscription(GateStatus, values["gate_status_topic"], self._on_gate, NEWEST)
            self.create_subscription(PlanDecision, values["decision_topic"], self._on_decision, 1)
        self.create_timer(1.0, self._report)

    # Life cycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        try:
            self.load(self._values["checkpoint"], self._values["calibration"], False)
        except (CheckpointError, ValueError) as error:
            self.refusal = str(error)
            self.get_logger().error(self.refusal)
            return TransitionCallbackReturn.FAILURE
        except Exception as error:  # rclpy would swallow it
            self.get_logger().error(f"{type(error).__name__}: {error}")
            return TransitionCallbackReturn.FAILURE
        self._why_not_ready = "not active"
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._running, self._why_not_ready = True, "no image yet"
        self._shortages = Shortages()
        self._watcher = threading.Thread(target=self._watch, name="watch")
        self._watcher.start()
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.stop()
        self._why_not_ready = "deactivated"
        self._uncertainty.publish(self._not_ready(self._why_not_ready))
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        self._loaded = None
        free_memory()
        self._why_not_ready = "not configured"
        return TransitionCallbackReturn.SUCCESS

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        self.stop()
        self._why_not_ready = "shut down"
        return TransitionCallbackReturn.SUCCESS

    def stop(self) -> None:
        """End the thread that judges images; publishes nothing afterwards."""
        with self._state_lock:
            was_running, self._running = self._running, False
        if was_running:
            self._watcher.join()

    def load(self, checkpoint: str, calibration: str, while_active: bool) -> Loaded:
        """Work with this one from now on.

        while_active: only if the node is still active when it is loaded. Raises CheckpointError or
        ValueError: then nothing has changed.
        """
        values = self._values
        loaded = load(
            checkpoint,
            calibration,
            values["task"],
            values["adaptive"],
            self._image_size,
            values["device"],
        )
        with self._state_lock:
            if while_active and not self._running:
                raise ValueError("the world model was deactivated meanwhile")
            if self._goal is not None:
                loaded.live.set_goal(self._goal)
            self._loaded = loaded
            self._shortages = Shortages()
        if loaded.trust.void:
            self.get_logger().error(loaded.trust.void)
        self.get_logger().info(
            f"checkpoint {loaded.card.sha256[:12]}, {loaded.card.config.name}, "
            f"actions {loaded.card.action_space.signature}"
        )
        return loaded

    def on_failure(self, error: Exception) -> None:
        """After an error of the device begin afresh, or leave that to whoever supervises us."""
        if is_for_good(error):
            self.get_logger().fatal(f"the device is lost, this process ends: {error!r}")
            os._exit(1)  # its threads may wait for the device for ever
        if is_out_of_memory(error):
            self._shortages.count()
            error.with_traceback(None)  # its frames hold what was too much
            if self._loaded is not None:
                self._loaded.live.forget()
            free_memory()

    # For the predictor

    def why_exhausted(self) -> str:
        """Why nothing may be imagined until a person has looked; empty if it may."""
        return self._shortages.why_not()

    def active(self) -> Loaded | None:
        """What is at work; None while the node is not active."""
        return self._loaded if self._running else None

    @property
    def autostart(self) -> bool:
        return self._values["autostart"]

    @property
    def base_frame(self) -> str:
        return self._values["base_frame"]

    def command_history(self) -> CommandTimeline:
        """What the arm was told. Raises NotReady: without that nothing can be foretold."""
        self._hear_commands()
        silent_s = time.monotonic() - self._commanded_at
        if silent_s > COMMAND_TIMEOUT_S:
            kind = TwistStamped if self._values["command_type"] == "twist" else PoseStamped
            why = why_silent(self, self._values["command_topic"], kind)
            since = "yet" if math.isinf(silent_s) else f"for {silent_s:.1f} s"
            raise NotReady(f"no command of the arm was heard {since}: {why}")
        with self._commands_lock:
            return self._commands.copy()

    def _hear_commands(self) -> None:
        """Also when nobody asks, so that none of long ago counts as heard now."""
        with self._commands_lock:
            self.take_polled()

    # Callbacks that only store the newest.

    def _keep_image(self, message: Image) -> None:
        with self._image_arrived:
            self._images.append(message)
            self._image_arrived.notify()

    def _log_twist(self, message: TwistStamped) -> None:
        self._commanded_at = time.monotonic()
        self._twist = twist_array(message.twist)
        self._log_command(seconds(message.header.stamp))

    def _log_pose(self, message: PoseStamped) -> None:
        self._commanded_at = time.monotonic()
        difference = self._pose_differences.twist(message)
        if difference is not None:
            since, self._twist = difference
            self._log_command(since)

    def _log_gripper(self, message: Float64) -> None:
        self._gripper = message.data

    def _on_gate(self, message: GateStatus) -> None:
        factor = self._loaded.trust.factor if self._loaded else None
        if factor is not None:
            factor.executing = message.state == GateStatus.EXECUTING

    def _on_decision(self, message: PlanDecision) -> None:
        """Note the least threshold with which something would pass: so it was calibrated too."""
        sound = [
            prediction.uncertainty
            for score, prediction in zip(message.scores, message.predictions, strict=False)
            if np.isfinite(score) and prediction.uncertainty > 0
        ]
        loaded = self._loaded
        if loaded is not None and (factor := loaded.trust.factor) is not None and sound:
            factor.see_surest(min(sound) / factor.calibration.scales.candidate_uncertainty)

    def _log_command(self, stamp_s: float) -> None:
        if np.isfinite(self._twist).all() and np.isfinite(self._gripper):
            self._commands.add(stamp_s, self._twist, self._gripper)

    def _take_goal(self, message: Image) -> None:
        try:
            picture = to_rgb(message)
            with self._state_lock:
                if self._loaded is not None:
                    self._loaded.live.set_goal(picture)
                self._goal = picture
        except BadImage as error:
            self.get_logger().error(f"goal_image refused: {error}")

    # The present. Each picture is looked at, and one in each step of the model retraced: what takes
    # long is done as often as it was when the thresholds were found.

    def _watch(self) -> None:
        while self._running:
            with self._image_arrived:
                if not self._images:
                    self._image_arrived.wait(0.5)
                messages = list(self._images)
                self._images.clear()
            self._tell(partial(self._look, messages))
            self._tell(self._retrace)

    def _tell(self, work: Callable[[], Uncertainty | None]) -> None:
        """Publish what comes of it, if there is anything to say."""
        try:
            heartbeat = work()
        except Exception as error:  # whatever it is, the gate must hear that nothing is known
            if not rclpy.ok():
                return
            self.on_failure(error)
            if self._loaded is not None:
                self._loaded.forget()
            heartbeat = self._not_ready(f"failed: {error!r}")
        if heartbeat is None:
            return
        if self._why_not_ready and heartbeat.ready:
            self.get_logger().info("ready")
        self._why_not_ready = heartbeat.message
        if heartbeat.message:
            self.get_logger().warning(heartbeat.message, throttle_duration_sec=2.0)
        try:
            if self._running:
                self._uncertainty.publish(heartbeat)
        except RuntimeError:
            if rclpy.ok():  # else the end came meanwhile
                raise

    def _look(self, messages: list[Image]) -> Uncertainty:
        """Take all in, and say what is known of the newest."""
        self._hear_commands()
        if why := self._shortages.why_not():
            return self._not_ready(why)
        if not messages:
            return self._not_ready(why_silent(self, self._values["camera_topic"], Image))
        newest, loaded = messages[-1], self._loaded
        assert loaded is not None
        live, trust = loaded.live, loaded.trust
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
            unfamiliarity = live.unfamiliarity()
            if math.isnan(loaded.carry_over(stamp_s)):  # nothing could be told
                self._judge(loaded)
        except (BadImage, NotReady) as error:
            return self._not_ready(str(error))
        judgement, value = loaded.take_judgement(), loaded.carry_over(stamp_s)
        if trust.factor is not None:
            scales = trust.factor.calibration.scales
            scores = value / scales.live_uncertainty, unfamiliarity / scales.unfamiliarity
            trust.factor.see_image(stamp_s, *scores)
        trust.use()
        disagreement, entropy, took_part = math.nan, math.nan, 0
        if judgement is not None:
            disagreement, entropy = judgement.disagreement, judgement.entropy
            took_part = bits(judgement.took_part)
        return Uncertainty(
            header=newest.header,
            ready=True,
            uncertainty=value,
            disagreement=disagreement,
            entropy=entropy,
            product=disagreement * entropy,
            sum=disagreement + entropy,
            took_part=took_part,
            familiarity_error=unfamiliarity,
            threshold=trust.threshold("live_uncertainty"),
            familiarity_threshold=trust.threshold("unfamiliarity"),
            checkpoint=loaded.card.sha256,
            latency_s=self.get_clock().now().nanoseconds * 1e-9 - stamp_s,
        )

    def _retrace(self) -> Uncertainty | None:
        """What comes of it is told with the next picture, so that no heartbeat waits for it."""
        loaded = self._loaded
        if self._why_not_ready or loaded is None or math.isnan(loaded.carry_over.value):
            return None
        if time.monotonic() < self._judge_at(loaded.live):
            return None
        try:
            self._judge(loaded)
        except NotReady as error:
            return self._not_ready(str(error))
        return None

    def _judge_at(self, live: LiveModel) -> float:
        """When the next picture is retraced, by the steady clock."""
        # Pictures come when they come: a quarter of a step too soon is better than half late.
        pause_s = max(0.75 * live.model.action_space.step_s, self._judging_s / JUDGING_SHARE)
        if live.is_imagining or pause_s > LONGEST_PAUSE_S:
            pause_s = LONGEST_PAUSE_S
        return self._judged_at + pause_s

    def _judge(self, loaded: Loaded) -> None:
        began = time.monotonic()
        if loaded.judge(self.command_history()):  # else, with a gripper that switches, no time
            self._judged_at, self._judging_s = began, time.monotonic() - began

    def _not_ready(self, why: str) -> Uncertainty:
        unknown, loaded = float("nan"), self._loaded
        assert loaded is not None
        return Uncertainty(
            ready=False,
            uncertainty=unknown,
            disagreement=unknown,
            entropy=unknown,
            product=unknown,
            sum=unknown,
            familiarity_error=unknown,
            threshold=loaded.trust.threshold("live_uncertainty"),
            familiarity_threshold=loaded.trust.threshold("unfamiliarity"),
            checkpoint=loaded.card.sha256,
            message=why,
        )

    def _report(self) -> None:
        if self._running and not self._watcher.is_alive():
            self._why_not_ready = "the thread that judges images has died"
        ready, loaded = not self._why_not_ready, self._loaded
        status = DiagnosticStatus(
            name=f"{self.get_fully_qualified_name()}: imagination",
            level=DiagnosticStatus.OK if ready else DiagnosticStatus.ERROR,
            message=self._why_not_ready or "ready",
            hardware_id=loaded.card.sha256[:12] if loaded else "",
            values=[
                KeyValue(
                    key="uncertainty",
                    value=f"{loaded.carry_over.value:.5f}" if loaded else "nan",
                )
            ],
        )
        report = DiagnosticArray(status=[status, hearing(self)])
        report.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(report)


def main() -> None:
    # Torch gives the interpreter away at every operation, and waits this long to get it back
    # from the thread that takes messages in.
    sys.setswitchinterval(0.0002)
    keep_freed_memory()
    rclpy.init()
    try:
        node = WorldModelNode()
    except BadParameter as error:
        refuse("world_model", error)
    if node.autostart and node.trigger_configure() != TransitionCallbackReturn.SUCCESS:
        if node.refusal:
            refuse("world_model", node.refusal)
        sys.exit("world_model: could not be configured")
    if node.autostart and node.trigger_activate() != TransitionCallbackReturn.SUCCESS:
        sys.exit("world_model: could not be activated")
    predictor = Predictor(node)
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        predictor.stop()
        node.stop()
        rclpy.try_shutdown()
