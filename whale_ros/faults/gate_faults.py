"""Faults of everything at once, in simulated time: the network, the gate itself, the e-stop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from whale_ros.faults.camera_faults import drop
from whale_ros.faults.case import Case
from whale_ros.faults.fault import Steps, fault
from whale_ros.faults.input_faults import STREAMS


@fault(29, "the network is cut", "H, L", "network")
def cut_network(case: Case) -> Steps:
    world = case.world
    world.loss, heard_until = 1.0, world.awake_s
    while world.awake_s < heard_until + 1.03:  # a gate that sleeps does not listen
        yield 0.01
    case.must_hold()
    yield 0.37
    world.loss = 0.0


@fault(30, "messages are lost", "-", "network")
def lossy(case: Case) -> Steps:
    case.world.loss = case.rng.uniform(0.0, 0.5)
    yield 1.5
    case.world.loss = 0.0


@fault(30, "messages are late by up to 0.5 s", "-", *STREAMS)
def late(case: Case) -> Steps:
    world = case.world

    def delay(stream: str) -> Callable[[Any], list[Any]]:
        def later(message: Any) -> list[Any]:
            if stream != "chunk":
                world.good(stream, message)  # how late is too late, others try
            world.delay(stream, message, case.rng.uniform(0.0, 0.5))
            return []

        return later

    for stream in STREAMS:
        case.spoil(stream, delay(stream))
    yield 1.5


@fault(33, "somebody else commands the arm", "H, L")
def foreign_commander(case: Case) -> Steps:
    case.must_hold()
    case.world.gate.on_graph({}, ("/joystick on /arm/twist_command",))
    yield 0.3
    case.world.gate.on_graph({}, ())


@fault(38, "the gate restarts while the arm moves", "H, A", together=False)
def restart(case: Case) -> Steps:
    world = case.world
    case.must_have_held()
    world.restart_gate()
    yield 0.05
    world.planning = False
    for chunk in world.sent[-3:]:
        world.send(chunk)
    yield 1.1
    for chunk in world.sent[-3:]:
        world.send(chunk)
    yield 0.1
    world.planning = True


@fault(38, "the gate restarts disarmed, as it does by itself", "H, L", "gate")
def restart_disarmed(case: Case) -> Steps:
    case.must_hold()
    case.world.restart_gate("hold")
    yield 0.2


@fault(39, "the gate sleeps", "H, A", "gate", estop=False)
def starved(case: Case) -> Steps:
    seconds = case.rng.uniform(0.13, 3.0)
    demand = case.must_hold(case.t + seconds, within_s=0.02)
    case.world.sleep(seconds)
    demand.over = case.t
    yield 0.0


@fault(40, "the e-stop is pressed", "H, L", "estop", estop=True)
def pressed(case: Case) -> Steps:
    moments = case.rng.choice([1, 5, 30])  # of 20 ms
    count = 0

    def press(_message: bool) -> list[bool]:
        nonlocal count
        count += 1
        if count == 1:
            case.must_hold(within_s=0.05)
        return [count <= moments]

    case.spoil("estop", press)
    yield 0.8


@fault(40, "the e-stop falls silent", "H, L", "estop", estop=True)
def silent_estop(case: Case) -> Steps:
    case.spoil("estop", drop)
    case.must_hold(case.oracle.last_heard("estop", case.t), within_s=0.15)
    yield 0.4


@fault("contract 2", "an exception in the gate", "H, L")
def exception(case: Case) -> Steps:
    case.must_hold()
    case.world.gate.fail(case.world.now, "ZeroDivisionError")
    yield 0.2


@fault("contract 8", "the stop service is called", "H, L")
def stopped(case: Case) -> Steps:
    case.must_hold()
    case.world.gate.stop(case.world.now, "stop was called")
    yield 0.2
