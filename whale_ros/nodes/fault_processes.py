"""Processes of a system that faults are tried on: started, told, stopped and killed by name."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from whale_ros.nodes.processes import installed_or_source

MODULES = {"relay": "fault_relay", "real_world_model": "fault_torch"}


class NotRunning(Exception):
    """The system does not do what it should; the message says what."""


class Processes:
    """output takes their logs. inside: for some names the command before theirs, as `nsenter`;
    every_one: ROS arguments of all."""

    def __init__(self, output: Path, every_one: Sequence[str] = ()) -> None:
        self.output, self.every_one = output, list(every_one)
        self.inside: dict[str, list[str]] = {}
        self._running: dict[str, subprocess.Popen] = {}

    def __getitem__(self, name: str) -> subprocess.Popen:
        return self._running[name]

    def start_executable(self, name: str, *arguments: str) -> None:
        config, executables = installed_or_source()
        command = [sys.executable, str(executables / name), "--ros-args", *self.every_one]
        for file in (f"{name}.yaml", "robots/sim.yaml"):
            command += ["--params-file", str(config / file)]
        self._start(name, [*command, *arguments])

    def start_player(self, role: str, *arguments: str) -> None:
        module = MODULES.get(role, "fault_players")
        command = [
            sys.executable,
            "-m",
            f"whale_ros.nodes.{module}",
            role,
            str(self.output / "events"),
        ]
        self._start(role, [*command, "--ros-args", *self.every_one, *arguments])

    def _start(self, name: str, command: list[str]) -> None:
        with (self.output / f"{name}.log").open("a") as log:
            self._running[name] = subprocess.Popen(
                [*self.inside.get(name, []), *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
                env={**os.environ, "ROS_LOG_DIR": str(self.output / "ros")},
            )

    def prefer(self, name: str) -> None:
        """As if it had a computer of its own: what is on trial is the gate."""
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, self._running[name].pid, -10)

    def has(self, name: str) -> bool:
        return name in self._running

    def signal(self, name: str, number: int) -> None:
        self._running[name].send_signal(number)

    def kill(self, name: str) -> None:
        self._running[name].kill()
        self._running[name].wait()

    def tell(self, name: str, **order: Any) -> None:
        """An order on the standard input of a player. Raises NotRunning."""
        pipe = self._running[name].stdin
        assert pipe is not None
        try:
            pipe.write(json.dumps(order) + "\n")
            pipe.flush()
        except BrokenPipeError:
            raise NotRunning(f"{name} has died; see {self.output}") from None

    def close(self) -> None:
        """Whatever state they are in, none is left."""
        for process in self._running.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.send_signal(signal.SIGINT)
        for process in self._running.values():
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdin is not None:
                with contextlib.suppress(BrokenPipeError):  # of what was told to a dead one
                    process.stdin.close()
