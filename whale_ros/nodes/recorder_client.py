"""Asks a demo_recorder for what a person or a script wants; `status` is the newest it said."""

from __future__ import annotations

from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.client import Client
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.task import Future
from std_srvs.srv import SetBool, Trigger

from whale_ros.msg import RecorderStatus
from whale_ros.nodes.lean_node import LeanNode

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class RecorderClient(LeanNode):
    def __init__(self) -> None:
        super().__init__("recorder_client")
        self.status: RecorderStatus | None = None
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self)
        self.create_subscription(RecorderStatus, "demo_recorder/status", self._on_status, LATCHED)
        self._triggers: dict[str, Client] = {
            name: self.create_client(Trigger, f"demo_recorder/{name}")
            for name in ("start", "stop", "discard")
        }
        self._keep: Client = self.create_client(SetBool, "demo_recorder/keep")
        self._set: Client = self.create_client(SetParameters, "demo_recorder/set_parameters")

    def spin_once(self) -> None:
        self._executor.spin_once(timeout_sec=0.02)

    def is_ready(self) -> bool:
        clients = (*self._triggers.values(), self._keep, self._set)
        return self.status is not None and all(client.service_is_ready() for client in clients)

    # Each begins to ask; the answer has `success` and `message`.

    def start(self) -> Future:
        return self._triggers["start"].call_async(Trigger.Request())

    def stop(self) -> Future:
        return self._triggers["stop"].call_async(Trigger.Request())

    def discard(self) -> Future:
        return self._triggers["discard"].call_async(Trigger.Request())

    def keep(self, success: bool) -> Future:
        return self._keep.call_async(SetBool.Request(data=success))

    def set_note(self, note: str) -> Future:
        """For the episode that is kept next."""
        value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=note)
        request = SetParameters.Request(parameters=[Parameter(name="note", value=value)])
        return self._set.call_async(request)

    def _on_status(self, message: RecorderStatus) -> None:
        self.status = message
