"""Faults of processes on the running system: the gate's, the world model's, the e-stop's."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from whale_ros.faults.fault import Steps
from whale_ros.nodes.fault_case import Case
from whale_ros.nodes.fault_catalogue import STALL_S, h, latched

FIRST_S = 0.02  # a demand before a gate is started counts from its first command, which is zero
OTHER_QOS = "qos_overrides./relayed/camera/image.subscription.reliability:=reliable"


def gate_sleeps(case: Case) -> Steps:
    system = case.system
    system.processes.signal("gate", signal.SIGSTOP)
    time.sleep(case.rng.uniform(0.2, 1.5))  # nothing may be heard of it meanwhile
    system.event("gate slept")
    case.demand(within_s=0.2, briefly=True)
    system.processes.signal("gate", signal.SIGCONT)
    yield 0.1


def gate_ends(number: int) -> Callable[[Case], Steps]:
    """It ends by a signal; another one starts disarmed and is armed by a person."""

    def end(case: Case) -> Steps:
        if number != signal.SIGKILL:
            case.demand()
        yield from _end(case, number)
        yield 0.6
        case.demand(within_s=FIRST_S)
        case.system.start_gate("hold")
        yield 1.5
        case.system.arm()

    return end


def _end(case: Case, number: int) -> Steps:
    gate = case.system.processes["gate"]
    gate.send_signal(number)
    yield from case.until(lambda: gate.poll() is not None, 10.0)


def restarts_armed(case: Case) -> Steps:
    """It is killed and comes back at once, armed: only a plan of after that may move the arm."""
    yield from _end(case, signal.SIGKILL)
    case.demand(briefly=True, within_s=FIRST_S)
    case.system.start_gate("gate")
    yield 0.1


def other_qos(case: Case) -> Steps:
    """A person restarts the gate with a QoS that does not fit, sees why, and repairs it."""
    case.demand()
    yield from _end(case, signal.SIGTERM)
    case.system.start_gate("gate", "-p", OTHER_QOS)
    case.demand()
    yield 2.0
    case.expect(not case.system.is_latched() and not case.system.moves(), "it is not inactive")
    case.expect("best_effort" in case.system.why(), "the other's QoS is not named")
    case.expect("reliable and" in case.system.why(), "its own QoS is not named")
    yield from _end(case, signal.SIGTERM)
    case.system.start_gate("hold")
    yield 1.5
    case.system.arm()


def stalls(name: str) -> Callable[[Case], Steps]:
    """A process stands still for a while."""

    def stall(case: Case) -> Steps:
        case.system.processes.signal(name, signal.SIGSTOP)
        yield STALL_S
        case.system.processes.signal(name, signal.SIGCONT)

    return stall


def dies(name: str) -> Callable[[Case], Steps]:
    """A process is killed, and started again by somebody."""

    def die(case: Case) -> Steps:
        case.system.processes.kill(name)
        yield STALL_S
        case.system.processes.start_player(name)

    return die


def peer_dies(case: Case) -> Steps:
    """Who brings camera, pose and world model to the gate is killed: as if a network was cut."""
    case.system.processes.kill("relay")
    case.demand(after=1.1)
    yield 1.6
    case.system.processes.start_player("relay")
    yield 1.0


def press(case: Case) -> Steps:
    case.system.processes.tell("estop", kind="press")
    yield 0.4
    case.system.processes.tell("estop", kind="release")


def lose_estop(case: Case) -> Steps:
    case.system.processes.kill("estop")
    case.system.event("estop lost")
    yield 0.5
    case.system.processes.start_player("estop")
    yield 1.0


FAULTS = [
    h(17, "the world model hangs", stalls("world_model"), "heartbeat", says="heartbeat"),
    h(39, "the gate stands still", gate_sleeps, "gate", says="loop", estop=False),
    latched(37, "the gate gets SIGTERM", gate_ends(signal.SIGTERM), "gate", says="SIGTERM"),
    latched(37, "the gate gets SIGINT", gate_ends(signal.SIGINT), "gate", says="SIGINT"),
    latched(31, "QoS that does not fit", other_qos, "gate", says="incompatible QoS",
            together=False),
]  # fmt: skip
# Of processes of their own: shared memory may keep a lock of a killed process, and stall others.
KILLS = [
    h(16, "the world model is killed", dies("world_model"), says="heartbeat"),
    latched(32, "the gate's peer on shared memory is killed", peer_dies, says="network"),
    latched(37, "the gate is killed", gate_ends(signal.SIGKILL)),
    h(38, "the gate is killed and comes back armed", restarts_armed),
]
ESTOP_FAULTS = [
    latched(40, "the e-stop is pressed", press, "estop", says="estop"),
    latched(40, "the e-stop's publisher is killed", lose_estop, "estop", says="estop",
            together=False),
]  # fmt: skip
