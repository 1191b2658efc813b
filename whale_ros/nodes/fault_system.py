"""A running system to try faults on: the real gate and the real simulated arm as processes over
DDS, with stand-ins for world model and planner, in a ROS domain of their own."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from std_srvs.srv import Trigger

from whale_ros.faults.judge import EventLog
from whale_ros.msg import GateStatus
from whale_ros.nodes import fault_players as players
from whale_ros.nodes.fault_processes import NotRunning, Processes
from whale_ros.nodes.lean_node import LeanNode
from whale_ros.nodes.operator import LATCHED
from whale_ros.srv import SetGateMode

STARTS_S = 60.0
RECOVERS_S = 8.0
RELAYED_TOPICS = {
    "camera_topic": "camera/image",
    "pose_topic": "ee_pose",
    "uncertainty_topic": "world_model/uncertainty",
    "chunk_topic": "approved_chunk",
}


class System:
    """All processes, and an operator who watches the gate. `output` takes logs and events.

    recovers_s: how long it may take to move again after a fault; begins_s: how long from when the
    gate executes a plan until the plan begins.
    """

    recovers_s, begins_s = RECOVERS_S, 0.1
    recorders: tuple[str, ...] = ("recorder",)
    every_one: tuple[str, ...] = ()  # ROS arguments of all processes
    audited = True  # whether times in the audit log are those of events

    def __init__(self, output: Path, seed: int, estop: bool = False) -> None:
        self.output, self.rng, self.estop = output, Random(seed), estop
        self.events = output / "events"
        self.events.mkdir(parents=True, exist_ok=True)
        self.audit_log = output / "audit.jsonl"
        for old in (*self.events.glob("*.jsonl"), self.audit_log):
            old.unlink(missing_ok=True)
        self.log = EventLog(self.events / "driver.jsonl")
        self.processes = Processes(output, self.every_one)
        self.status: GateStatus | None = None
        self.told: list[str] = []  # what was wrong in the newest /diagnostics of the gate
        self.prepare()
        self._context = Context()
        rclpy.init(context=self._context)
        self.node = LeanNode("fault_driver", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self.node.create_subscription(GateStatus, "gate/status", self._on_status, LATCHED)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        # By the relay's name, or the gate would hold for it before it says anything.
        self._planner = LeanNode("fault_relay", context=self._context)
        self.chunks = self._planner.create_publisher(
            players.ApprovedChunk, players.RELAYED + "approved_chunk", players.RELIABLE
        )
        self._clients: dict[str, Any] = {}

    def prepare(self) -> None:
        """Before anything of ROS is made."""

    def start(self) -> None:
        """Raises NotRunning."""
        self.processes.start_executable("sim_robot")
        self.processes.prefer("sim_robot")
        for role in (*self.recorders, "relay"):
            self.processes.start_player(role)
        self.start_planning()
        if self.estop:
            self.processes.start_player("estop")
        self.start_gate()
        if not self.wait(self.moves, STARTS_S):
            raise NotRunning(f"the arm does not move: {self.why()}; see {self.output}")

    def start_planning(self) -> None:
        for role in ("world_model", "planner"):
            self.processes.start_player(role)

    def close(self) -> None:
        self.processes.close()
        self._executor.shutdown()
        self._planner.destroy_node()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

    def start_gate(self, mode: str = "gate", *more: str) -> None:
        """more: ROS arguments. Raises NotRunning."""
        self.status = None
        arguments = ["-p", f"start_mode:={mode}", "-p", f"audit_log:={self.audit_log}"]
        for parameter, topic in RELAYED_TOPICS.items():
            arguments += ["-p", f"{parameter}:={players.RELAYED}{topic}"]
        if self.estop:
            arguments += ["-p", "estop_topic:=estop"]
        self.event("gate started")
        self.processes.start_executable("gate", *arguments, *more)
        if not self.wait(lambda: self.status is not None, STARTS_S):
            raise NotRunning(f"the gate tells no status; see {self.output}")

    # ---- what happens

    def event(self, kind: str, *details: Any) -> None:
        self.log.write(time.time(), kind, *details)

    def wait(self, condition: Callable[[], Any], seconds: float) -> bool:
        """Whether the condition came to hold in time."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                return False
            self._executor.spin_once(timeout_sec=0.02)
        return True

    def pause(self, seconds: float) -> None:
        self.wait(lambda: False, seconds)

    def moves(self) -> bool:
        runs = self.processes["gate"].poll() is None
        return runs and self.status is not None and self.status.state == GateStatus.EXECUTING

    def is_latched(self) -> bool:
        return self.status is not None and self.status.state == GateStatus.LATCHED

    def why(self) -> str:
        return self.status.reason if self.status else "no status of the gate"

    # ---- what a person does

    def ask(self, kind: type, service: str, request: Any, seconds: float = 5.0) -> Any:
        """The answer, None without one."""
        if not self.finds(kind, service, seconds):
            return None
        future = self._clients[service].call_async(request)
        self.wait(future.done, seconds)
        return future.result() if future.done() else None

    def finds(self, kind: type, service: str, seconds: float = 5.0) -> bool:
        """Whether a service can be asked, which takes some time before the first time."""
        if service not in self._clients:
            self._clients[service] = self.node.create_client(kind, service)
        return self.wait(self._clients[service].service_is_ready, seconds)

    def reset(self) -> None:
        """A person tries until the gate grants it."""
        self.wait(lambda: self._grants(Trigger, "gate/reset", Trigger.Request()), self.recovers_s)

    def arm(self) -> None:
        """A person lets a gate move that has just started."""
        self._grants(SetGateMode, "gate/set_mode", SetGateMode.Request(mode="gate"))

    def _grants(self, kind: type, service: str, request: Any) -> bool:
        began = time.time()
        answer = self.ask(kind, service, request)
        granted = answer is not None and answer.success
        if granted:
            self.log.write(began, "reset")
        return granted

    def _on_status(self, message: GateStatus) -> None:
        self.status = message

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        wrong = [s for s in message.status if s.level != DiagnosticStatus.OK]
        self.told = [f"{status.name}: {status.message}" for status in wrong]
        self.event("told", self.told)


class TwoWitnesses(System):
    """Of what is commanded: after a kill each may be deaf for some seconds."""

    recorders = ("recorder", "commands")
