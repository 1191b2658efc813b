"""Nodes of the simulated system as processes, and a wait that notices when one has died."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

from ament_index_python.packages import PackageNotFoundError, get_package_share_directory

from whale_ros.nodes.domain import take_domain

SOURCE = Path(__file__).resolve().parents[2]
NODES = ("gate", "sim_robot", "world_model", "planner", "scripted_policy")
PARAMETER_FILES = {"demo_recorder": "recorder.yaml"}  # where it is not the node's name
START_UP_S = 60.0


class RunFailed(Exception):
    """The run cannot go on; the message says what did not happen."""


def isolate() -> None:
    """Stay on this machine, in a ROS domain of our own: no real arm must hear of this."""
    outside = int(os.environ.get("ROS_DOMAIN_ID") or 0)
    try:  # tests have 20 on; kept until this process ends
        number, _ = take_domain(n for n in range(1, 20) if n != outside)
    except RuntimeError as error:
        sys.exit(str(error))
    os.environ["ROS_DOMAIN_ID"] = str(number)
    if os.environ.get("ROS_DISTRO") == "humble":
        os.environ["ROS_LOCALHOST_ONLY"] = "1"
    else:
        os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"


@contextlib.contextmanager
def running_nodes(
    logs: Path, robot: str = "sim", nodes: tuple[str, ...] = NODES, **more: tuple[str, ...]
) -> Iterator[list[subprocess.Popen]]:
    """Nodes with their parameter files; those that launch/planner.launch.py starts, or others.

    robot: a name in config/robots. more: arguments by node, as in planner=("-p", "horizon:=8").
    """
    logs.mkdir(parents=True, exist_ok=True)
    config, executables = installed_or_source()
    with contextlib.ExitStack() as stack:
        processes = []
        for name in nodes:
            log = stack.enter_context((logs / f"{name}.log").open("w"))
            command = [sys.executable, str(executables / name), "--ros-args"]
            for file in (PARAMETER_FILES.get(name, f"{name}.yaml"), f"robots/{robot}.yaml"):
                command += ["--params-file", str(config / file)]
            command += more.get(name, ())
            processes.append(subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT))
        try:
            yield processes
        finally:
            for process in processes:
                process.send_signal(signal.SIGINT)
            for process in processes:
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


class Waiting(Protocol):
    """Who waits: an operator, or another node that knows what it waits for."""

    def spin_once(self) -> None: ...
    def all_ready(self) -> bool: ...
    def explain(self) -> str: ...


class Wait:
    """Spins an operator until something holds, as long as every process lives."""

    def __init__(self, operator: Waiting, processes: list[subprocess.Popen]) -> None:
        self._operator, self._processes = operator, processes

    def __call__(self, condition: Callable[[], bool], seconds: float, what: str = "") -> bool:
        """Whether the condition came to hold in time. Without a name for it, that is not needed.

        Raises RunFailed.
        """
        end = time.monotonic() + seconds
        while not condition():
            self._operator.spin_once()
            dead = [str(p.args[1]) for p in self._processes if p.poll() is not None]  # type: ignore[index]
            if dead:
                raise RunFailed(f"{', '.join(Path(d).name for d in dead)} has stopped")
            if time.monotonic() > end:
                if what:
                    why = self._operator.explain()
                    raise RunFailed(f"waited {seconds:g} s for {what}: {why}")
                return False
        return True

    def for_the_nodes(self) -> None:
        print("Waiting for the nodes ...", flush=True)
        self(self._operator.all_ready, START_UP_S, "the nodes to be ready")


def installed_or_source() -> tuple[Path, Path]:
    """Folders of the parameter files and the executables."""
    if (SOURCE / "package.xml").exists():
        return SOURCE / "config", SOURCE / "scripts"
    with contextlib.suppress(PackageNotFoundError):
        share = Path(get_package_share_directory("whale_ros"))
        return share / "config", share.parents[1] / "lib" / "whale_ros"
    raise RunFailed("neither a checkout nor an installed package was found")
