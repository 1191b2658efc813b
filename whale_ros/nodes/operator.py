"""What somebody at the simulated arm sees and does: gate, task, success, contacts, faults."""

from __future__ import annotations

import time
from collections.abc import Callable

from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.msg import ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.client import Client
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from std_srvs.srv import Trigger

from whale_ros.msg import GateStatus, SimState, Uncertainty
from whale_ros.nodes.lean_node import LeanNode
from whale_ros.srv import Degrade, ResetTask, SetGateMode

Wait = Callable[[Callable[[], bool], float, str], bool]

# Deep queues: who observes must not miss what a node would not.
ALL = QoSProfile(depth=200, reliability=ReliabilityPolicy.RELIABLE)
ALL_BEST_EFFORT = QoSProfile(depth=200, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(
    depth=200, reliability=ReliabilityPolicy.RELIABLE, durability=DurabilityPolicy.TRANSIENT_LOCAL
)


class ServiceRefused(Exception):
    """A service did not do what it was asked to; the message says which, and why."""


class Operator(LeanNode):
    def __init__(self, name: str = "operator") -> None:
        super().__init__(name)
        self.success = False
        self.contact_force = 0.0  # largest since the reset [N]
        self._gate: GateStatus | None = None
        self._ready = False
        self._why = "nothing was heard of the world model"
        self._moving_since: float | None = None
        self._held_since = time.monotonic()
        self._episode = 0
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)
        self.poll(GateStatus, "gate/status", self.on_gate, LATCHED)
        self.poll(Uncertainty, "world_model/uncertainty", self.on_heartbeat, ALL_BEST_EFFORT)
        self.poll(SimState, "sim_robot/state", self._on_state, ALL_BEST_EFFORT)
        self._reset: Client = self.create_client(ResetTask, "sim_robot/reset_task")
        self._unlatch: Client = self.create_client(Trigger, "gate/reset")
        self._mode: Client = self.create_client(SetGateMode, "gate/set_mode")
        self._degrade: Client = self.create_client(Degrade, "sim_robot/degrade")
        self._policy: Client = self.create_client(SetParameters, "scripted_policy/set_parameters")

    def spin_once(self) -> None:
        self._executor.spin_once(timeout_sec=0.05)
        self.take_polled()

    def now(self) -> float:
        return self.get_clock().now().nanoseconds * 1e-9

    def all_ready(self) -> bool:
        return self._ready and self._gate is not None and self._reset.service_is_ready()

    def explain(self) -> str:
        """Why nothing moves, as far as the nodes say."""
        gate = self._gate.reason if self._gate else "nothing was heard of it"
        return f"world model: {self._why or 'ready'}; gate: {gate}"

    def describe(self) -> str:
        """The gate's state in a few words, for a progress bar."""
        assert self._gate is not None
        if self._gate.state == GateStatus.EXECUTING:
            return f"executing, chunk {self._gate.chunks_executed}"
        return self._gate.reason[:60]

    def moving_for(self) -> float:
        """Seconds since the gate began to execute without a break; 0 while it holds."""
        return 0.0 if self._moving_since is None else time.monotonic() - self._moving_since

    def held_for(self) -> float:
        """Seconds since the gate last executed; 0 while it does."""
        return 0.0 if self._moving_since is not None else time.monotonic() - self._held_since

    def reset_task(self, task: str, seed: int, wait: Wait, mode: str = "gate") -> None:
        """As a person would: hold the arm, rearrange the scene, let the gate go on in `mode`."""
        before = self._episode
        self.call(self._mode, SetGateMode.Request(mode="hold"), wait)
        self.call(self._reset, ResetTask.Request(task=task, seed=seed), wait)
        wait(lambda: self._episode > before, 10.0, f"the reset to {task}")
        if self._gate is not None and self._gate.state == GateStatus.LATCHED:
            self.call(self._unlatch, Trigger.Request(), wait)
        self.call(self._mode, SetGateMode.Request(mode=mode), wait)
        self.success, self.contact_force = False, 0.0
        self._held_since = time.monotonic()

    def degrade(self, kind: str, amount: float, wait: Wait) -> None:
        self.call(self._degrade, Degrade.Request(kind=kind, amount=amount), wait)

    def set_policy(self, behavior: str, wait: Wait) -> None:
        """How the scripted policy acts from now on."""
        value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=behavior)
        request = SetParameters.Request(parameters=[ParameterMessage(name="behavior", value=value)])
        future = self._policy.call_async(request)
        wait(future.done, 20.0, self._policy.srv_name)
        answer = future.result()
        if answer is None or not answer.results[0].successful:
            reason = answer.results[0].reason if answer else "no answer"
            raise ServiceRefused(f"{self._policy.srv_name}: {reason}")

    def call(self, client: Client, request: object, wait: Wait) -> None:
        future = client.call_async(request)
        wait(future.done, 20.0, client.srv_name)
        answer = future.result()
        if answer is None or not answer.success:
            raise ServiceRefused(f"{client.srv_name}: {answer.message if answer else 'no answer'}")

    def on_gate(self, message: GateStatus) -> None:
        self._gate = message
        if message.state != GateStatus.EXECUTING:
            if self._moving_since is not None:
                self._held_since = time.monotonic()
            self._moving_since = None
        elif self._moving_since is None:
            self._moving_since = time.monotonic()

    def on_heartbeat(self, message: Uncertainty) -> None:
        self._ready, self._why = message.ready, message.message

    def _on_state(self, message: SimState) -> None:
        self._episode = message.episode
        self.success = message.success
        self.contact_force = max(self.contact_force, message.contact_force)
