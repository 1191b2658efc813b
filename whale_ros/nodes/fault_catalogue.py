"""Faults that can be tried on the running system, by the rows of the matrix in docs/safety.md:
messages that a relay spoils, and what others send or ask for."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from geometry_msgs.msg import TwistStamped
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from std_srvs.srv import Trigger

from whale_ros.faults.fault import Fault, Steps
from whale_ros.nodes.fault_case import Case
from whale_ros.nodes.fault_players import approval, chunk

LATE_S = 0.5  # the most that the matrix asks for
STALL_S = 0.9  # longer than every time-out, and shorter than a cut network
FLOOD_MAY_TAKE = 20e6  # bytes
NONSENSE = {
    "max_linear_speed": float("nan"),
    "max_angular_speed": -1.0,
    "pose_timeout_s": 0.0,
    "camera_period_s": 1e9,
    "workspace_margin_m": float("inf"),
    "heartbeat_timeout_s": 4.0,  # sound, but not while it runs
}


def spoils(stream: str, kind: str, for_s: float = STALL_S, **order: Any) -> Callable[[Case], Steps]:
    """The relay spoils a stream for a while."""

    def spoil(case: Case) -> Steps:
        case.spoil(stream, kind, **order)
        yield for_s

    return spoil


def bad_chunk(**change: Any) -> Callable[[Case], Steps]:
    """A chunk that goes upwards, with something wrong, is sent beside the planner's."""

    def send(case: Case) -> Steps:
        message = chunk(upwards(), "bad", 1, time.time())
        message.header.stamp.sec += change.get("older_s", 0)
        message.expiry.sec += change.get("older_s", 0)
        for name in change.keys() - {"older_s"}:
            setattr(message.actions, name, change[name])
        case.system.chunks.publish(message)
        yield 0.5

    return send


def upwards(metres: float = 0.03) -> np.ndarray:
    """(5, 7): actions that the planner does not approve."""
    actions = np.zeros((5, 7))
    actions[:, 2] = metres
    return actions


def second_planner(case: Case) -> Steps:
    """One approves one chunk in a session of its own; the first planner's next one makes two."""
    now = time.time()
    message = chunk(upwards(0.01), f"other {now}", 1, now)
    case.system.event("approved", approval(message, "second"))
    case.demand_at_next_plan()
    case.system.chunks.publish(message)
    yield 0.9


def flood(case: Case) -> Steps:
    """Each plan comes three hundred times; the gate's memory is none the larger."""
    gate = case.system.processes["gate"]
    before = _memory(gate.pid)
    case.spoil("chunk", "again", times=300)
    yield 1.2
    if gate.poll() is not None:
        case.expect(False, "the gate ended")
        return
    grown = _memory(gate.pid) - before
    case.expect(grown < FLOOD_MAY_TAKE, f"the gate's memory grew by {grown / 1e6:.1f} MB")


def _memory(pid: int) -> int:
    """Resident bytes of a process."""
    return 4096 * int(Path(f"/proc/{pid}/statm").read_text().split()[1])


def cut_network(case: Case) -> Steps:
    case.spoil("network", "drop", share=1.0, alive=False)
    case.demand(after=1.1)
    yield 1.6


def lossy(case: Case) -> Steps:
    case.spoil("network", "drop", share=0.5, alive=True)
    yield 1.5


def late(case: Case) -> Steps:
    for stream in ("camera", "pose", "heartbeat"):
        case.spoil(stream, "delay", seconds=LATE_S)
    yield STALL_S


def stop_service(case: Case) -> Steps:
    case.expect(case.system.finds(Trigger, "gate/stop"), "there is no gate/stop")
    case.demand()
    case.system.ask(Trigger, "gate/stop", Trigger.Request())
    yield 0.0


def foreign_publisher(case: Case) -> Steps:
    """Somebody else commands the arm."""
    case.demand()
    publisher = case.system.node.create_publisher(TwistStamped, "arm/twist_command", 1)
    yield 0.5
    case.system.node.destroy_publisher(publisher)


def nonsense_parameters(case: Case) -> Steps:
    """Each is refused with a reason, while the arm moves on."""
    request = SetParameters.Request()
    for name, value in NONSENSE.items():
        double = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=value)
        request.parameters.append(Parameter(name=name, value=double))
    answer = case.system.ask(SetParameters, "gate/set_parameters", request)
    case.expect(answer is not None, "the gate did not answer")
    for name, result in zip(NONSENSE, answer.results if answer else (), strict=False):
        case.expect(not result.successful and result.reason, f"{name} was not refused")
    yield 0.3


def h(row: int | str, name: str, inject: Callable[[Case], Steps], *touches: str, **more: Any):
    """A fault that must be held, and clears by itself."""
    return Fault(row, name, "H", False, inject, touches, **more)


def latched(row: int | str, name: str, inject: Callable[[Case], Steps], *touches: str, **more: Any):
    """A fault that must be held until a person resets."""
    return Fault(row, name, "H", True, inject, touches, **more)


def x(row: int | str, name: str, inject: Callable[[Case], Steps], says: str, *touches: str):
    """A fault of which nothing may come."""
    return Fault(row, name, "X", False, inject, touches, says=says)


AT_ONCE: dict[str, Any] = {"demand": {}}
BAD_POSE: dict[str, Any] = {"demand": {"after": 0.1}}

FAULTS = [
    h(1, "camera stalls", spoils("camera", "drop"), "camera", says="camera"),
    latched(2, "camera repeats a picture", spoils("camera", "repeat", 2.5, alive=True,
            **AT_ONCE), "camera", "gate", says="picture", together=False),
    h(3, "stamps of images repeat", spoils("camera", "same stamp"), "camera", says="camera"),
    h(4, "image stamps of the future", spoils("camera", "stamp", seconds=0.5), "camera",
      says="camera"),
    h(4, "image stamps are zero", spoils("camera", "stamp", seconds=0), "camera", says="camera"),
    h(4, "pose stamps are old", spoils("pose", "stamp", seconds=-0.5), "pose", says="pose"),
    h(7, "poses lag behind images", spoils("pose", "delay", 1.2, seconds=0.15, alive=True,
      demand={"after": 0.3}), "pose", "camera", "network", "gate", says="skew"),
    h(8, "poses are not finite", spoils("pose", "nan", **BAD_POSE), "pose", says="pose_content"),
    h(9, "poses in another frame", spoils("pose", "frame", frame="map", **BAD_POSE), "pose",
      says="pose_content"),
    h(10, "quaternions are not unit", spoils("pose", "scale", by=1.1, **BAD_POSE), "pose",
      says="pose_content"),
    latched(11, "the pose jumps", spoils("pose", "jump", 0.4, by=0.1, **AT_ONCE), "pose",
            says="pose_jump", together=False),
    h(12, "images are cut off", spoils("camera", "cut off"), "camera", says="camera"),
    latched(13, "images of another size", spoils("camera", "resize", 0.5, **AT_ONCE), "camera",
            says="picture_kind"),
    h(18, "heartbeats come late", spoils("heartbeat", "delay", 1.3, seconds=1.2), "heartbeat",
      says="heartbeat"),
    h(19, "uncertainty is NaN", spoils("heartbeat", "nan", **AT_ONCE), "heartbeat",
      says="uncertainty"),
    h(19, "uncertainty over its threshold", spoils("heartbeat", "unsure", **AT_ONCE), "heartbeat",
      says="uncertainty"),
    x(23, "a stale plan", bad_chunk(older_s=-3), "s ago", "plan"),
    latched(24, "two planners", second_planner, "plan", "network", says="two planners"),
    x(25, "a chunk that claims more than it has", bad_chunk(horizon=2**32 - 1), "actions", "plan"),
    x(26, "another action space", bad_chunk(action_space="joints/7"), "joints/7", "plan"),
    x(27, "actions that are not finite", spoils("chunk", "upwards", 1.2, metres=float("nan")),
      "holds nan", "plan"),
    x(27, "actions that are too large", spoils("chunk", "upwards", 1.2, metres=0.2), "step",
      "plan"),
    x(28, "every plan comes twice", spoils("chunk", "twice", 1.2), "was used", "plan"),
    latched(29, "the network is cut", cut_network, "network", "gate", says="network"),
    Fault(30, "half of all messages are lost", "-", False, lossy, ("network",)),
    h(30, "all messages are half a second late", late, "camera", "pose", "heartbeat", "network",
      says="pose"),
    x(34, "a flood of plans", flood, "was used", "plan", "gate"),
    latched(33, "somebody else commands the arm", foreign_publisher, says="command_topic"),
    x(36, "nonsense parameters", nonsense_parameters, "", "gate"),
    latched("contract 8", "the stop service is called", stop_service, "gate", says="stop service"),
]  # fmt: skip
