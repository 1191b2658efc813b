"""Node `demonstrator`: does the simulated task when asked, as a person with a joystick would.

It commands the arm itself, as in a recording session; there is no gate then. It knows the true
state of the simulation. Every seed of the scene is demonstrated in a way of its own.
"""

from __future__ import annotations

import time

import numpy as np
import rclpy
from geometry_msgs.msg import TwistStamped
from rclpy.executors import ExternalShutdownException
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Bool, Float64
from std_srvs.srv import Trigger

from whale_ros.actions.space import GRIPPER, POSITION, ROTATION
from whale_ros.msg import SimState
from whale_ros.nodes.lean_node import LeanNode
from whale_ros.nodes.parameters import BadParameter, Parameter, declare, refuse
from whale_ros.nodes.sequences import ACTION_SPACE_PARAMETERS, action_space
from whale_ros.nodes.topics import why_silent
from whale_ros.sim.behaviors import DEMONSTRATING, Behavior

PARAMETERS = (
    Parameter("rate_hz", 25.0, "Commands per second.", range=(20.0, 100.0), read_only=True),
    Parameter("timeout_s", 20.0, "A demonstration that takes longer is given up.",
              range=(1.0, 120.0)),
    *ACTION_SPACE_PARAMETERS,
    Parameter("base_frame", "base", "Frame of the commands.", read_only=True),
    Parameter("state_topic", "sim_robot/state", "SimState, in.", read_only=True),
    Parameter("command_topic", "arm/twist_command", "TwistStamped, out.", read_only=True),
    Parameter("gripper_command_topic", "gripper/command",
              "Float64, 0 open .. 1 closed, out.", read_only=True),
)  # fmt: skip

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
AFTER_SUCCESS_S = 1.5  # to let go and to draw back
STATE_TIMEOUT_S = 1.0


class Demonstrator(LeanNode):
    """Publishes `~/active` with the beginning and the end of each demonstration."""

    def __init__(self) -> None:
        """Raises BadParameter."""
        super().__init__("demonstrator")
        self._values = values = declare(self, PARAMETERS)
        self._space = action_space(values)
        self._ticks_per_action = round(self._space.step_s * values["rate_hz"])
        self._state: SimState | None = None
        self._state_at = -np.inf
        self._behavior: Behavior | None = None  # while demonstrating
        self._twists = self.create_publisher(TwistStamped, values["command_topic"], 1)
        self._grippers = self.create_publisher(Float64, values["gripper_command_topic"], 1)
        self._active = self.create_publisher(Bool, "~/active", LATCHED)
        self._active.publish(Bool(data=False))
        self.create_subscription(SimState, values["state_topic"], self._on_state, 1)
        self.create_service(Trigger, "~/demonstrate", self._on_demonstrate)
        self.create_timer(1 / values["rate_hz"], self._tick)

    def _on_state(self, message: SimState) -> None:
        self._state, self._state_at = message, time.monotonic()

    def _on_demonstrate(self, request, response):
        try:
            response.message = self._begin()
            response.success = True
        except ValueError as error:
            response.message = str(error)
        self.get_logger().info(f"demonstrate: {response.message}")
        return response

    def _begin(self) -> str:
        """Begin with the arm where it is; say what was begun. Raises ValueError."""
        topic = self._values["command_topic"]
        others = {
            info.node_name
            for info in self.get_publishers_info_by_topic(self.resolve_topic_name(topic))
        } - {self.get_name()}
        state = self._state
        if others:
            raise ValueError(f"{', '.join(sorted(others))} commands {topic}; stop it first")
        if self._behavior is not None:
            raise ValueError("a demonstration is under way")
        if not self._twists.get_subscription_count():
            raise ValueError(f"no arm listens to {topic}")
        if state is None or self._state_is_old():
            raise ValueError(why_silent(self, self._values["state_topic"], SimState))
        self._behavior = Behavior(DEMONSTRATING, state.task, self._space, state.seed)
        self._episode, self._ticks = state.episode, 0
        self._began = time.monotonic()
        self._succeeded_at: float | None = None
        self._active.publish(Bool(data=True))
        return f"{state.task} with seed {state.seed}"

    def _tick(self) -> None:
        if self._behavior is None or self._state is None:
            return
        state, now = self._state, time.monotonic()
        if self._succeeded_at is None and state.success:
            self._succeeded_at = now
        if self._state_is_old():
            self._end(f"{self._values['state_topic']} has fallen silent")
        elif state.episode != self._episode:
            self._end("the scene was reset")
        elif self._succeeded_at is not None and now > self._succeeded_at + AFTER_SUCCESS_S:
            self._end("success" if state.success else "success did not last")
        elif now > self._began + self._values["timeout_s"]:
            self._end("time is up")
        else:
            if self._ticks % self._ticks_per_action == 0:
                self._action = self._behavior.act(np.array(state.observation))
            self._ticks += 1
            self._command(self._action)

    def _state_is_old(self) -> bool:
        return time.monotonic() > self._state_at + STATE_TIMEOUT_S

    def _end(self, why: str) -> None:
        self._behavior = None
        self._twists.publish(self._twist(np.zeros(6)))
        self._active.publish(Bool(data=False))
        self.get_logger().info(f"demonstration ended: {why}")

    def _command(self, action: np.ndarray) -> None:
        velocity = np.concatenate([action[POSITION], action[ROTATION]]) / self._space.step_s
        self._twists.publish(self._twist(velocity))
        self._grippers.publish(Float64(data=float(action[GRIPPER])))

    def _twist(self, velocity: np.ndarray) -> TwistStamped:
        message = TwistStamped()
        message.header.stamp = self.get_clock().now().to_msg()
        message.header.frame_id = self._values["base_frame"]
        linear, angular = message.twist.linear, message.twist.angular
        linear.x, linear.y, linear.z = map(float, velocity[:3])
        angular.x, angular.y, angular.z = map(float, velocity[3:])
        return message


def main() -> None:
    rclpy.init()
    try:
        node = Demonstrator()
    except BadParameter as error:
        refuse("demonstrator", error)
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    finally:
        rclpy.try_shutdown()
