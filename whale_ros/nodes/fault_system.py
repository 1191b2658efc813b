"""Try faults on the running system: the real gate and the real simulated arm as processes over DDS,
with stand-ins for world model and planner, in a ROS domain of their own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from std_srvs.srv import Trigger

from whale_ros.faults.judge import EventLog
from whale_ros.msg import GateStatus
from whale_ros.nodes import fault_players as players
from whale_ros.nodes.lean_node import LeanNode
from whale_ros.nodes.operator import LATCHED
from whale_ros.nodes.processes import installed_or_source
from whale_ros.srv import SetGateMode

STARTS_S = 60.0
RECOVERS_S = 8.0
LATCHED_S = 1.8  # longer than what clears by itself would take
RELAYED_TOPICS = {
    "camera_topic": "camera/image",
    "pose_topic": "ee_pose",
    "uncertainty_topic": "world_model/uncertainty",
    "chunk_topic": "approved_chunk",
}


class NotRunning(Exception):
    """The system does not do what it should before a fault is tried; the message says what."""


class System:
    """All processes, and an operator who watches the gate. `output` takes logs and events."""

    def __init__(self, output: Path, seed: int, estop: bool = False) -> None:
        self.output, self.rng, self.estop = output, Random(seed), estop
        self.events = output / "events"
        self.events.mkdir(parents=True, exist_ok=True)
        for old in self.events.glob("*.jsonl"):
            old.unlink()
        self.log = EventLog(self.events / "driver.jsonl")
        self.status: GateStatus | None = None
        self.processes: dict[str, subprocess.Popen] = {}
        self._context = Context()
        rclpy.init(context=self._context)
        self.node = LeanNode("fault_driver", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self.node.create_subscription(GateStatus, "gate/status", self._on_status, LATCHED)
        self.chunks = self.node.create_publisher(
            players.ApprovedChunk, players.RELAYED + "approved_chunk", players.RELIABLE
        )
        self._clients: dict[str, Any] = {
            "reset": self.node.create_client(Trigger, "gate/reset"),
            "stop": self.node.create_client(Trigger, "gate/stop"),
            "set_mode": self.node.create_client(SetGateMode, "gate/set_mode"),
        }

    def start(self) -> None:
        """Raises NotRunning."""
        self.start_executable("sim_robot")
        for role in ("recorder", "relay", "world_model", "planner"):
            self.start_player(role)
        if self.estop:
            self.start_player("estop")
        self.start_gate()
        if not self.wait(self.moves, STARTS_S):
            raise NotRunning(f"the arm does not move: {self.why()}; see {self.output}")

    def close(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.send_signal(signal.SIGINT)
        for process in self.processes.values():
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self._context)

    # ---- processes

    def start_gate(self, mode: str = "gate") -> None:
        self.status = None
        arguments = ["-p", f"start_mode:={mode}", "-p", f"audit_log:={self.output}/audit.jsonl"]
        for parameter, topic in RELAYED_TOPICS.items():
            arguments += ["-p", f"{parameter}:={players.RELAYED}{topic}"]
        if self.estop:
            arguments += ["-p", "estop_topic:=estop"]
        self.event("gate started")
        self.start_executable("gate", *arguments)
        if not self.wait(lambda: self.status is not None, STARTS_S):
            raise NotRunning(f"the gate tells no status; see {self.output}")

    def start_executable(self, name: str, *arguments: str) -> None:
        config, executables = installed_or_source()
        command = [sys.executable, str(executables / name), "--ros-args"]
        for file in (f"{name}.yaml", "robots/sim.yaml"):
            command += ["--params-file", str(config / file)]
        self._start(name, [*command, *arguments])

    def start_player(self, role: str) -> None:
        module = "whale_ros.nodes.fault_players"
        self._start(role, [sys.executable, "-m", module, role, str(self.events)])

    def _start(self, name: str, command: list[str]) -> None:
        log = (self.output / f"{name}.log").open("a")
        self.processes[name] = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT, text=True
        )
        log.close()

    def signal(self, name: str, number: int) -> None:
        self.processes[name].send_signal(number)

    def kill(self, name: str) -> None:
        self.processes[name].kill()
        self.processes[name].wait()

    def tell(self, name: str, **order: Any) -> None:
        """An order on the standard input of a player."""
        pipe = self.processes[name].stdin
        assert pipe is not None
        pipe.write(json.dumps(order) + "\n")
        pipe.flush()

    # ---- what happens

    def event(self, kind: str, *details: Any) -> None:
        self.log.write(time.time(), kind, *details)

    def demand(self, latches: bool = False, **more: Any) -> None:
        self.event("demand", {"latches": latches, **more})

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
        return self.status is not None and self.status.state == GateStatus.EXECUTING

    def why(self) -> str:
        return self.status.reason if self.status else "no status of the gate"

    def call(self, name: str, request: Any) -> bool:
        """Whether the gate did it."""
        client = self._clients[name]
        if not self.wait(client.service_is_ready, 5.0):
            return False
        future = client.call_async(request)
        self.wait(future.done, 5.0)
        answer = future.result()
        return answer is not None and answer.success

    def reset(self) -> None:
        """A person tries until the gate grants it."""
        self.wait(lambda: self.asked_for("reset", Trigger.Request()), RECOVERS_S)

    def asked_for(self, name: str, request: Any) -> bool:
        """Whether the gate granted what a person asked for to let it move again."""
        began = time.time()
        granted = self.call(name, request)
        if granted:
            self.log.write(began, "reset")
        return granted

    def _on_status(self, message: GateStatus) -> None:
        self.status = message


def try_faults(system: System, faults: list, repeats: int) -> Iterator[str]:
    """Tries each fault so often, in random order; yields its name when it is done."""
    order = [fault for fault in faults for _ in range(repeats)]
    system.rng.shuffle(order)
    for fault in order:
        try_one(system, fault)
        yield fault.name


def try_one(system: System, fault: Any) -> None:
    """While the arm moves; afterwards it moves again, if the gate lets it."""
    moved = system.wait(system.moves, RECOVERS_S)
    system.pause(system.rng.uniform(0.1, 0.6))
    system.event("fault", fault.name)
    fault.inject(system)
    system.tell("relay", kind="none")
    system.event("well again")
    if fault.latches:
        system.pause(LATCHED_S)
        if system.status is not None and system.status.state == GateStatus.LATCHED:
            system.reset()
    recovered = system.wait(system.moves, RECOVERS_S)
    if not recovered:  # it latched though it should not have: go on with the next
        system.reset()
        system.wait(system.moves, RECOVERS_S)
    system.pause(0.1)
    system.event(
        "done",
        {
            "fault": fault.name,
            "holds": fault.required == "H",
            "latches": fault.latches,
            "moved": moved,
            "recovered": recovered,
            "alone": True,
        },
    )
