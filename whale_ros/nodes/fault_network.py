"""A real cut of the network: the gate on one side of a cable, robot and planner on the other.

The two sides are network namespaces of Linux that end with their processes; messages go by UDP.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import time
from pathlib import Path

from whale_ros.faults.fault import Steps
from whale_ros.nodes.fault_case import Case
from whale_ros.nodes.fault_catalogue import latched
from whale_ros.nodes.fault_system import System

NEW_NETWORK = 0x40000000  # CLONE_NEWNET of unshare(2) and setns(2)
UDP = {"FASTDDS_BUILTIN_TRANSPORTS": "UDPv4", "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}
GATES_SIDE = ("gate", "relay", "commands")
HERE = Path("/proc/thread-self/ns/net")


class TwoMachines(System):
    """This thread moves to the robot's side until `close`."""

    recorders = ("commands", "positions")

    def prepare(self) -> None:
        self._before = {name: os.environ.get(name) for name in UDP}
        os.environ.update(UDP)
        self._home = os.open(HERE, os.O_RDONLY)
        _call(ctypes.CDLL(None, use_errno=True).unshare(NEW_NETWORK))
        # Its namespace lasts as long as it, and it as long as we.
        self._other_side = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE)
        there = Path(f"/proc/{self._other_side.pid}/ns/net")
        while there.readlink() == HERE.readlink():
            time.sleep(0.01)
        enter = ["nsenter", "--net", "--target", str(self._other_side.pid)]
        _run("ip link add robot type veth peer name gate netns", str(self._other_side.pid))
        for side, name, address in (([], "robot", "10.77.0.1/24"), (enter, "gate", "10.77.0.2/24")):
            _run("ip address add", address, "dev", name, inside=side)
            for device in ("lo", name):
                _run("ip link set", device, "up", inside=side)
        self.processes.inside = {name: enter for name in GATES_SIDE}

    def close(self) -> None:
        super().close()
        assert self._other_side.stdin is not None
        self._other_side.stdin.close()
        self._other_side.wait()
        _call(ctypes.CDLL(None, use_errno=True).setns(self._home, NEW_NETWORK))
        os.close(self._home)
        for name, value in self._before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def why_no_cable() -> str:
    if os.geteuid() != 0 or not all(map(shutil.which, ("ip", "unshare", "nsenter"))):
        return "only root may make network namespaces, with iproute2 and util-linux"
    done = subprocess.run(["unshare", "--net", "true"], capture_output=True, text=True)
    return done.stderr.strip()


def pull_cable(case: Case) -> Steps:
    """The gate latches; what it commands does not reach the arm, whose dead-man must stop it."""
    _run("ip link set robot down")
    case.system.event("cut off", True)
    case.demand(after=1.1)
    yield 1.6
    _run("ip link set robot up")
    yield 0.5
    case.system.event("cut off", False)


def _run(command: str, *more: str, inside: list[str] | None = None) -> None:
    subprocess.run([*(inside or []), *command.split(), *more], check=True)


def _call(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


CABLE = [latched(29, "the cable to the gate is pulled", pull_cable, says="network")]
