"""Faults that can be tried on the running system, by the rows of the matrix in docs/safety.md."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Any

from std_srvs.srv import Trigger

from whale_ros.faults.catalogue import Fault
from whale_ros.nodes import fault_system as act
from whale_ros.nodes.fault_players import approval, chunk
from whale_ros.nodes.fault_system import STALL_S, System

HOLD: dict[str, Any] = {"latches": False}
LATCH: dict[str, Any] = {"latches": True}


def spoils(stream: str, kind: str, for_s: float = STALL_S, **order: Any):
    """The relay spoils a stream for a while; see `fault_players.Relay` for orders."""

    def spoil(system: System) -> None:
        system.tell("relay", stream=stream, kind=kind, **order)
        system.pause(for_s)

    return spoil


def rejected(make: Callable[[System], list]) -> Callable[[System], None]:
    """Chunks that the gate must not execute are sent beside the planner's."""

    def send(system: System) -> None:
        for message in make(system):
            system.send(message)
        system.pause(0.5)

    return send


def changed(**change: Any) -> Callable[[System], list]:
    """A chunk that goes aside, with something wrong."""

    def make(_system: System) -> list:
        message = chunk(act.aside(), "bad", 1)
        for name, value in change.items():
            if name == "stamp":
                message.header.stamp.sec += value
                message.expiry.sec += value
            else:
                setattr(message.actions if hasattr(message.actions, name) else message, name, value)
        return [message]

    return make


def second_planner(system: System) -> None:
    """One approves one chunk in a session of its own; the first planner's next one makes two."""
    message = chunk(act.aside(0.01), f"other {time.time()}", 1)
    system.log.write(*approval(message, "second"))
    system.event("demand at next plan", LATCH)
    system.send(message)
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
    if system.call("stop", Trigger.Request()):
        system.demand(latches=True)


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
    _h(2, "camera repeats a picture", spoils("camera", "repeat", 2.5, alive=True, count=7,
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
    _h(16, "the world model is killed", act.dies("world_model")),
    _h(17, "the world model hangs", act.stalls("world_model")),
    _h(18, "heartbeats come late", spoils("heartbeat", "delay", 1.3, seconds=1.2)),
    _h(19, "uncertainty is NaN", spoils("heartbeat", "nan", **AT_ONCE)),
    _h(19, "uncertainty over its threshold", spoils("heartbeat", "unsure", **AT_ONCE)),
    _x(23, "a stale plan", rejected(changed(stamp=-3))),
    _h(24, "two planners", second_planner, latches=True),
    _x(25, "a chunk that claims more than it has", rejected(changed(horizon=2**32 - 1))),
    _x(26, "another action space", rejected(changed(action_space="joints/7"))),
    _x(27, "actions that are not finite", spoils("chunk", "upwards", 1.2, metres=float("nan"))),
    _x(27, "actions that are too large", spoils("chunk", "upwards", 1.2, metres=0.2)),
    _x(28, "every plan comes twice", spoils("chunk", "again", 1.2, times=1)),
    _h(29, "the network is cut", cut_network, latches=True),
    Fault(30, "half of all messages are lost", "-", False, lossy),
    _x(34, "a flood of plans", spoils("chunk", "again", 1.2, times=300)),
    _h(33, "somebody else commands the arm", act.foreign_publisher, latches=True),
    _h(37, "the gate gets SIGTERM", act.gate_ends(signal.SIGTERM), latches=True),
    _h(37, "the gate is killed", act.gate_ends(signal.SIGKILL), latches=True),
    _h(39, "the gate stands still", act.gate_sleeps),
    _h("contract 8", "the stop service is called", stop_service, latches=True),
]  # fmt: skip
ESTOP_FAULTS = [
    _h(40, "the e-stop is pressed", press, latches=True),
    _h(40, "the e-stop's publisher is killed", lose_estop, latches=True),
]
