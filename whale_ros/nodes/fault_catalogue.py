"""Faults that can be tried on the running system, by the rows of the matrix in docs/safety.md."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from geometry_msgs.msg import TwistStamped
from std_srvs.srv import Trigger

from whale_ros.faults.fault import Fault
from whale_ros.nodes.fault_players import approval, chunk
from whale_ros.nodes.fault_system import System
from whale_ros.srv import SetGateMode

STALL_S = 0.9  # longer than every time-out, and shorter than a cut network

HOLD: dict[str, Any] = {"latches": False}
LATCH: dict[str, Any] = {"latches": True}


def spoils(stream: str, kind: str, for_s: float = STALL_S, **order: Any):
    """The relay spoils a stream for a while; see `fault_players.Relay` for orders."""

    def spoil(system: System) -> None:
        system.tell("relay", stream=stream, kind=kind, **order)
        system.pause(for_s)

    return spoil


def bad_chunk(**change: Any) -> Callable[[System], None]:
    """A chunk that goes upwards, with something wrong, is sent beside the planner's."""

    def send(system: System) -> None:
        message = chunk(upwards(), "bad", 1)
        message.header.stamp.sec += change.get("older_s", 0)
        message.expiry.sec += change.get("older_s", 0)
        for name in change.keys() - {"older_s"}:
            setattr(message.actions, name, change[name])
        system.chunks.publish(message)
        system.pause(0.5)

    return send


def upwards(metres: float = 0.03) -> np.ndarray:
    """(5, 7): actions that the planner does not approve."""
    actions = np.zeros((5, 7))
    actions[:, 2] = metres
    return actions


def second_planner(system: System) -> None:
    """One approves one chunk in a session of its own; the first planner's next one makes two."""
    message = chunk(upwards(0.01), f"other {time.time()}", 1)
    system.log.write(*approval(message, "second"))
    system.event("demand at next plan", LATCH)
    system.chunks.publish(message)
    system.pause(0.9)


def cut_network(system: System) -> None:
    for stream in ("camera", "pose", "heartbeat", "chunk"):
        system.tell("relay", stream=stream, kind="drop")
    system.demand(latches=True, after=1.1)
    system.pause(1.6)


def lossy(system: System) -> None:
    for stream in ("camera", "pose", "heartbeat", "chunk"):
        system.tell("relay", stream=stream, kind="drop", share=0.5, alive=True)
    system.pause(1.5)


def stop_service(system: System) -> None:
    system.demand(latches=True)
    system.call("stop", Trigger.Request())


def foreign_publisher(system: System) -> None:
    """Somebody else commands the arm."""
    system.demand(latches=True)
    publisher = system.node.create_publisher(TwistStamped, "arm/twist_command", 1)
    system.pause(0.5)
    system.node.destroy_publisher(publisher)


def gate_sleeps(system: System) -> None:
    system.signal("gate", signal.SIGSTOP)
    time.sleep(system.rng.uniform(0.2, 1.5))  # nothing may be heard of it meanwhile
    system.demand(within_s=0.2)
    system.signal("gate", signal.SIGCONT)
    system.pause(0.1)


def gate_ends(number: int) -> Callable[[System], None]:
    """It ends by a signal; another one starts disarmed and is armed by a person."""

    def end(system: System) -> None:
        if number != signal.SIGKILL:
            system.demand(latches=True)
        gate = system.processes["gate"]
        gate.send_signal(number)
        system.wait(lambda: gate.poll() is not None, 10.0)
        system.pause(0.6)
        system.start_gate("hold")
        system.demand(latches=True)
        system.pause(1.5)
        system.asked_for("set_mode", SetGateMode.Request(mode="gate"))

    return end


def stalls(name: str, seconds: float = STALL_S) -> Callable[[System], None]:
    """A process stands still for a while."""

    def stall(system: System) -> None:
        system.signal(name, signal.SIGSTOP)
        system.pause(seconds)
        system.signal(name, signal.SIGCONT)

    return stall


def dies(name: str) -> Callable[[System], None]:
    """A process is killed, and started again by somebody."""

    def die(system: System) -> None:
        system.kill(name)
        system.pause(STALL_S)
        system.start_player(name)

    return die


def press(system: System) -> None:
    system.tell("estop", kind="press")
    system.pause(0.4)
    system.tell("estop", kind="release")


def lose_estop(system: System) -> None:
    system.kill("estop")
    system.event("estop lost")
    system.pause(0.5)
    system.start_player("estop")
    system.pause(1.0)


def _h(row: int | str, name: str, inject: Callable[[System], None], latches: bool = False) -> Fault:
    return Fault(row, name, "H", latches, inject)


def _x(row: int | str, name: str, inject: Callable[[System], None]) -> Fault:
    return Fault(row, name, "X", False, inject)


AT_ONCE: dict[str, Any] = {"demand": HOLD}
BAD_POSE: dict[str, Any] = {"demand": HOLD | {"after": 0.1}}

FAULTS = [
    _h(1, "camera stalls", spoils("camera", "drop")),
    _h(2, "camera repeats a picture", spoils("camera", "repeat", 2.5, alive=True, count=9,
       demand=LATCH), latches=True),
    _h(3, "stamps of images repeat", spoils("camera", "same stamp")),
    _h(4, "image stamps of the future", spoils("camera", "stamp", seconds=0.5)),
    _h(4, "image stamps are zero", spoils("camera", "stamp", seconds=0)),
    _h(4, "pose stamps are old", spoils("pose", "stamp", seconds=-0.5)),
    _h(7, "poses lag behind images", spoils("pose", "delay", 1.2, seconds=0.15, alive=True,
       demand=HOLD | {"after": 0.3})),
    _h(8, "poses are not finite", spoils("pose", "nan", **BAD_POSE)),
    _h(9, "poses in another frame", spoils("pose", "frame", frame="map", **BAD_POSE)),
    _h(10, "quaternions are not unit", spoils("pose", "scale", by=1.1, **BAD_POSE)),
    _h(11, "the pose jumps", spoils("pose", "jump", 0.4, by=0.1, demand=LATCH), latches=True),
    _h(12, "images are cut off", spoils("camera", "cut off")),
    _h(13, "images of another size", spoils("camera", "resize", 0.5, demand=LATCH), latches=True),
    _h(17, "the world model hangs", stalls("world_model")),
    _h(18, "heartbeats come late", spoils("heartbeat", "delay", 1.3, seconds=1.2)),
    _h(19, "uncertainty is NaN", spoils("heartbeat", "nan", **AT_ONCE)),
    _h(19, "uncertainty over its threshold", spoils("heartbeat", "unsure", **AT_ONCE)),
    _x(23, "a stale plan", bad_chunk(older_s=-3)),
    _h(24, "two planners", second_planner, latches=True),
    _x(25, "a chunk that claims more than it has", bad_chunk(horizon=2**32 - 1)),
    _x(26, "another action space", bad_chunk(action_space="joints/7")),
    _x(27, "actions that are not finite", spoils("chunk", "upwards", 1.2, metres=float("nan"))),
    _x(27, "actions that are too large", spoils("chunk", "upwards", 1.2, metres=0.2)),
    _x(28, "every plan comes twice", spoils("chunk", "again", 1.2, times=1)),
    _h(29, "the network is cut", cut_network, latches=True),
    Fault(30, "half of all messages are lost", "-", False, lossy),
    _x(34, "a flood of plans", spoils("chunk", "again", 1.2, times=300)),
    _h(33, "somebody else commands the arm", foreign_publisher, latches=True),
    _h(37, "the gate gets SIGTERM", gate_ends(signal.SIGTERM), latches=True),
    _h(39, "the gate stands still", gate_sleeps),
    _h("contract 8", "the stop service is called", stop_service, latches=True),
]  # fmt: skip
# Of processes of their own: shared memory may keep a lock of a killed process, and stall others.
KILLS = [
    _h(16, "the world model is killed", dies("world_model")),
    _h(37, "the gate is killed", gate_ends(signal.SIGKILL), latches=True),
]
ESTOP_FAULTS = [
    _h(40, "the e-stop is pressed", press, latches=True),
    _h(40, "the e-stop's publisher is killed", lose_estop, latches=True),
]
PHASES = {"arm": FAULTS, "killed": KILLS, "estop": ESTOP_FAULTS}
