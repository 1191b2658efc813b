"""The gate as a node: the only publisher of arm commands, in a process of its own without torch.

Messages in, `whale_ros.gate.core` decides in a steady 100 Hz loop, commands and status out. Not a
certified safety function: keep a hardware emergency stop.

World model and planner have managed life cycles, the gate has none: unconfigured or finalized it
would be silent, and an arm without a dead-man would repeat its last command. What `inactive` is
elsewhere is here the mode `hold`, in which it starts, commands zero and tells its status; a person
arms it with `~/set_mode`, and no life cycle manager does so in passing.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import math
import os
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import PoseStamped, Quaternion, TwistStamped, Vector3
from rclpy.clock import Clock, ClockType
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image
from std_msgs.msg import Bool, Float64
from std_srvs.srv import Trigger

from whale_ros.gate.audit import AuditLog
from whale_ros.gate.check import Now
from whale_ros.gate.core import Command, Gate, State, Status
from whale_ros.msg import ApprovedChunk, Check, GateStatus, Uncertainty
from whale_ros.nodes.gate_messages import to_chunk, to_heartbeat, to_pose
from whale_ros.nodes.gate_parameters import PARAMETERS, gate_config, why_contradictory
from whale_ros.nodes.lean_node import LeanNode
from whale_ros.nodes.parameters import BadParameter, declare, refuse
from whale_ros.nodes.serialized_image import picture_of, stamp_of
from whale_ros.nodes.topics import publisher_names, why_deaf, why_silent, why_unheard, wrong_type
from whale_ros.srv import SetGateMode

FAREWELL_S = 0.25  # how long zeros are published before the process ends
STUCK_S = 0.1  # without a cycle after an exception: there will be none
UNKNOWN = "_NODE_NAME_UNKNOWN_"  # ROS's word until it has heard who a publisher belongs to
GRIPPER_EVERY = 10  # cycles, unless it changes: a gripper keeps its last command
GRAPH_PERIOD_S = 0.05  # how often other commanders are looked for
TOPICS_PERIOD_S = 0.1  # how often it is asked whether all topics fit, which takes longer
READ_CLOCKS_TRIES = 10
STATUS_PERIOD_S = 0.1  # between statuses in which nothing but numbers has changed


NEWEST = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
NO_PRESS_LOST = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
RELIABLE = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)
# Two planners may both approve a chunk within one cycle: neither hides the other.
CHUNKS = QoSProfile(depth=4, reliability=ReliabilityPolicy.RELIABLE)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class GateNode(LeanNode):
    def __init__(self) -> None:
        """Raises BadParameter."""
        super().__init__("gate")
        values = declare(self, PARAMETERS, why_contradictory)
        self._values = values
        # Runs on when simulated time stands still; the timers' own, or lateness would drift.
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._config = config = gate_config(values)
        self._gate = Gate(config, self._now())
        self._gate.set_mode(self._now(), values["start_mode"])
        # Whoever reads a line knows whose it is, also in a file that two gates write.
        self._signature = {
            "node": self.get_fully_qualified_name(),
            "parameters_sha256": _hash(values),
        }
        self._audit = AuditLog(
            Path(values["audit_log"]).expanduser() if values["audit_log"] else self._default_log(),
            {"time": self._now().ros, **self._signature, "parameters": values},
        )
        self._lateness: deque[float] = deque(maxlen=1000)
        self._due = math.inf
        self._graph_due = self._topics_due = 0.0
        self._problems: dict[str, str] = {}  # of topics, by parameter
        self._status: Status | None = None
        self._told = ""
        self._status_due = 0.0
        self._worst_lateness = 0.0  # since the last status
        self._cycles = 0
        self._cycled = time.monotonic()  # when the last one began
        self._failed = False  # since then
        self._gripper: float | None = None  # last published

        self._command_type = TwistStamped if values["command_type"] == "twist" else PoseStamped
        command_topic = values["command_topic"]
        self._commands = self.create_publisher(self._command_type, command_topic, RELIABLE)
        self._grippers = self.create_publisher(Float64, values["gripper_command_topic"], RELIABLE)
        self._statuses = self.create_publisher(GateStatus, "~/status", LATCHED)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)

        for message_type, topic, callback, qos, raw in (
            (Image, "camera_topic", self._on_image, NEWEST, True),
            (PoseStamped, "pose_topic", self._on_pose, NEWEST, False),
            (Uncertainty, "uncertainty_topic", self._on_uncertainty, NEWEST, False),
            (ApprovedChunk, "chunk_topic", self._on_chunk, CHUNKS, False),
        ):
            self.poll(message_type, values[topic], self._guard(callback), qos, raw=raw)
        if values["estop_topic"]:
            self.poll(Bool, values["estop_topic"], self._guard(self._on_estop), NO_PRESS_LOST)
        self.create_service(Trigger, "~/stop", self._on_stop)
        self.create_service(Trigger, "~/reset", self._on_reset)
        self.create_service(SetGateMode, "~/set_mode", self._on_set_mode)

        self.create_timer(config.cycle_s, self.cycle, clock=self._steady)
        self.create_timer(1.0, self._guard(self._every_second), clock=self._steady)

    def stop(self, reason: str) -> None:
        """Hold until reset."""
        self._gate.stop(self._now(), reason)

    def fail(self, error: Exception) -> tuple[Command, Status]:
        """After an exception: hold until reset, and give what to publish."""
        self._failed = True
        held = self._gate.fail(self._now(), f"{type(error).__name__}: {error}")
        text = "".join(traceback.format_exception(error))
        self.get_logger().error(text, throttle_duration_sec=1.0)
        return held

    @property
    def is_stuck(self) -> bool:
        """Whether nobody has called `cycle` since an exception."""
        return self._failed and time.monotonic() - self._cycled > STUCK_S

    def say_farewell(self) -> None:
        """Hold for a while, without an executor, which may be what is broken."""
        end = time.monotonic() + FAREWELL_S
        while time.monotonic() < end:
            try:
                self.cycle()
            except Exception as error:
                self.fail(error)
            time.sleep(self._config.cycle_s)

    def close(self) -> None:
        self._audit.close()
        self.destroy_node()

    def _default_log(self) -> Path:
        """No two names become the same: a ROS name holds no dot."""
        name = self.get_fully_qualified_name().lstrip("/").replace("/", ".")
        return Path(rclpy.logging.get_logging_directory()) / f"{name}_audit.jsonl"

    # ---- messages in

    def _on_image(self, serialized: bytes) -> None:
        try:
            stamp, picture = stamp_of(serialized), picture_of(serialized)
        except ValueError as error:
            self.get_logger().warning(f"image dropped: {error}", throttle_duration_sec=1.0)
        else:
            self._gate.on_camera(self._now(), stamp, picture)

    def _on_pose(self, message: PoseStamped) -> None:
        self._gate.on_pose(self._now(), to_pose(message))

    def _on_uncertainty(self, message: Uncertainty) -> None:
        self._gate.on_heartbeat(self._now(), to_heartbeat(message))

    def _on_estop(self, message: Bool) -> None:
        self._gate.on_estop(self._now(), message.data)

    def _on_chunk(self, message: ApprovedChunk) -> None:
        chunk = to_chunk(message)
        reason = self._gate.on_chunk(self._now(), chunk)
        if reason:
            text = f"chunk {chunk.id!r} rejected: {reason}"
            self.get_logger().warning(text, throttle_duration_sec=1.0)

    def _on_stop(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.stop("the stop service was called")
        response.success, response.message = True, "stopped; call reset to go on"
        return response

    def _on_reset(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        refused = self._gate.reset(self._now())
        response.success, response.message = refused is None, refused or "reset"
        return response

    def _on_set_mode(
        self, request: SetGateMode.Request, response: SetGateMode.Response
    ) -> SetGateMode.Response:
        refused = self._gate.set_mode(self._now(), request.mode)
        response.success, response.message = refused is None, refused or f"mode {request.mode}"
        return response

    # ---- messages out

    def cycle(self) -> None:
        """Command, and say why; the command goes out first, whatever comes of the rest."""
        now = self._now()
        self._cycled, self._failed = time.monotonic(), False
        self._measure_lateness(now.steady)
        before = self._status
        try:
            self.take_polled()
            asked = self._look_at_graph(now)
            now = self._now()  # not before what was heard
            command, self._status = self._gate.cycle(now)
        except Exception as error:
            command, self._status = self.fail(error)
            asked = False
        stamp = self.get_clock().now().to_msg()
        self._publish_command(command, stamp)
        # In words it is told at once; numbers may wait, for those who listen have work to do, and
        # a cycle that has asked about topics has none of its time left.
        changed = before is None or _words(before) != _words(self._status)
        if changed or (now.steady >= self._status_due and not asked):
            self._status_due = now.steady + STATUS_PERIOD_S
            self._publish_status(self._status, stamp)
        if before is None or before.state is not self._status.state:
            self._diagnose()  # a hold may be over before the next second
        self._audit.write({**each, **self._signature} for each in self._gate.take_decisions())
        self._tell(self._status)

    def _publish_command(self, command: Command, stamp: Any) -> None:
        if self._values["command_type"] == "twist":
            twist = TwistStamped()
            twist.header.stamp, twist.header.frame_id = stamp, self._config.frame
            x, y, z, rx, ry, rz = command.twist.tolist()
            twist.twist.linear = Vector3(x=x, y=y, z=z)
            twist.twist.angular = Vector3(x=rx, y=ry, z=rz)
            self._commands.publish(twist)
        elif command.position is not None and command.quaternion is not None:
            pose = PoseStamped()
            pose.header.stamp, pose.header.frame_id = stamp, self._config.frame
            point = pose.pose.position
            point.x, point.y, point.z = command.position.tolist()
            w, x, y, z = command.quaternion.tolist()
            pose.pose.orientation = Quaternion(x=x, y=y, z=z, w=w)
            self._commands.publish(pose)
        self._cycles += 1
        changed = command.gripper != self._gripper
        if command.gripper is not None and (changed or self._cycles % GRIPPER_EVERY == 0):
            self._gripper = command.gripper
            self._grippers.publish(Float64(data=command.gripper))

    def _publish_status(self, status: Status, stamp: Any) -> None:
        message = GateStatus(
            state=int(status.state),
            mode=int(status.mode),
            reason=status.reason,
            chunk_id=status.chunk_id,
            cycle_lateness_s=self._worst_lateness,
            chunks_executed=status.chunks_executed,
            chunks_rejected=status.chunks_rejected,
        )
        message.header.stamp, message.header.frame_id = stamp, self._config.frame
        message.checks = [
            Check(
                name=check.name,
                ok=check.ok,
                value=float(check.value),
                threshold=float(check.threshold),
                message=check.message,
            )
            for check in status.checks
        ]
        self._statuses.publish(message)
        self._worst_lateness = 0.0

    def _tell(self, status: Status) -> None:
        """Log changes of state, not of the numbers in the reason."""
        now = f"{status.state.name} in mode {status.mode.name.lower()}"
        if now != self._told:
            self._told = now
            self.get_logger().info(f"{now}{': ' if status.reason else ''}{status.reason}")

    def _diagnose(self) -> None:
        if self._status is None:
            return
        array = DiagnosticArray()
        array.header.stamp = self.get_clock().now().to_msg()
        name = self.get_fully_qualified_name().lstrip("/")
        late_ms = 1000 * np.percentile(self._lateness, [50, 99, 100])
        state = self._status.state
        ok = {State.EXECUTING: DiagnosticStatus.OK, State.HOLD: DiagnosticStatus.WARN}
        array.status = [
            _diagnostic(
                f"{name}: state",
                ok.get(state, DiagnosticStatus.ERROR),
                f"{state.name}: {self._status.reason}" if self._status.reason else state.name,
                mode=self._status.mode.name.lower(),
                cycle_lateness_p50_ms=f"{late_ms[0]:.2f}",
                cycle_lateness_p99_ms=f"{late_ms[1]:.2f}",
                cycle_lateness_max_ms=f"{late_ms[2]:.2f}",
            ),
            _diagnostic(
                f"{name}: audit_log",
                DiagnosticStatus.WARN if self._audit.problem else DiagnosticStatus.OK,
                self._audit.problem or f"writing {self._audit.path}",
                lost=str(self._audit.lost),
            ),
            _priority(f"{name}: priority"),
        ] + [
            _diagnostic(
                f"{name}: {check.name}",
                DiagnosticStatus.OK if check.ok else DiagnosticStatus.ERROR,
                check.message,
                value=f"{check.value:g}",
                threshold=f"{check.threshold:g}",
            )
            for check in self._status.checks
        ]
        self._diagnostics.publish(array)

    def _every_second(self) -> None:
        self._diagnose()
        gc.collect()  # see main: here it costs least

    # ---- clocks and graph

    def _now(self) -> Now:
        for _ in range(READ_CLOCKS_TRIES):
            before = self._steady.now().nanoseconds
            ros = self.get_clock().now().nanoseconds
            # Who is put to sleep between the two would see ROS time jump.
            if self._steady.now().nanoseconds - before < 1_000_000:
                break
        return Now(before * 1e-9, ros * 1e-9)

    def _measure_lateness(self, steady: float) -> None:
        """How long after the time at which it was due this cycle began."""
        period = self._config.cycle_s
        lateness = steady - self._due
        if lateness < 0:  # the first cycle, or the grid of the others began late
            self._due = steady
        self._due += period * (1 + int(max(0.0, lateness) / period))
        lateness = max(0.0, lateness)
        self._lateness.append(lateness)
        self._worst_lateness = max(self._worst_lateness, lateness)

    def _look_at_graph(self, now: Now) -> bool:
        """Returns whether it was asked if all topics fit, which takes half a cycle."""
        if now.steady < self._graph_due:
            return False
        self._graph_due = now.steady + GRAPH_PERIOD_S
        others = [
            name
            for topic in (self._values["command_topic"], self._values["gripper_command_topic"])
            for name in self._other_publishers(topic)
        ]
        asked = now.steady >= self._topics_due
        if asked:
            self._topics_due = now.steady + TOPICS_PERIOD_S
            self._problems = self._why_unfit()
        self._gate.on_graph(self._problems, tuple(others))
        return asked

    def _why_unfit(self) -> dict[str, str]:
        """Problems of topics, by parameter."""
        problems = {}
        checks = self._status.checks if self._status else ()
        unheard = {check.name for check in checks if math.isinf(check.value)}
        if self._gate.has_heartbeat:  # one that is not ready keeps nothing alive, but was heard
            unheard.discard("heartbeat")
        for check, topic, message_type in (
            ("camera", "camera_topic", Image),
            ("pose", "pose_topic", PoseStamped),
            ("heartbeat", "uncertainty_topic", Uncertainty),
            ("estop", "estop_topic", Bool),
        ):
            name, why = self._values[topic], why_silent if check in unheard else wrong_type
            if name and (problem := why(self, name, message_type)):
                problems[topic] = problem
        # Chunks may be rare, so silence there says nothing.
        chunks = self._values["chunk_topic"]
        if problem := why_deaf(self, chunks, ApprovedChunk) or self._why_two_planners(chunks):
            problems["chunk_topic"] = problem
        for topic, message_type in (
            ("command_topic", self._command_type),
            ("gripper_command_topic", Float64),
        ):
            if problem := why_unheard(self, self._values[topic], message_type):
                problems[topic] = problem
        return problems

    def _other_publishers(self, topic: str) -> list[str]:
        """Nodes that publish a topic which is ours alone."""
        topic = self.resolve_topic_name(topic)
        if self.count_publishers(topic) <= 1:
            return []
        names = publisher_names(self, topic)
        if self.get_fully_qualified_name() in names:
            names.remove(self.get_fully_qualified_name())  # once: a second gate is called so too
        return [f"{name} on {topic}" for name in names]

    def _why_two_planners(self, topic: str) -> str:
        """Of one name there may be two: who was killed is seen for some time beside who replaces
        it. They are told apart by their sessions."""
        names = set(publisher_names(self, topic))
        planners = sorted(name for name in names if UNKNOWN not in name)
        if len(planners) < 2:
            return ""
        return f"{len(planners)} planners publish {topic}: {', '.join(planners)}"

    def _guard(self, callback: Callable) -> Callable:
        """An exception latches the gate and does not end its loop."""

        def guarded(*arguments: Any) -> None:
            try:
                callback(*arguments)
            except Exception as error:
                self.fail(error)

        return guarded


def _words(status: Status) -> tuple:
    """What a status says but for numbers."""
    oks = tuple(check.ok for check in status.checks)
    counts = status.chunks_executed, status.chunks_rejected
    return status.state, status.mode, status.chunk_id, oks, counts


def _diagnostic(name: str, level: bytes, message: str, **values: str) -> DiagnosticStatus:
    return DiagnosticStatus(
        name=name,
        level=level,
        message=message,
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )


def _priority(name: str) -> DiagnosticStatus:
    """What `_ask_for_priority` got."""
    if os.sched_getscheduler(0) == os.SCHED_RR:
        return _diagnostic(name, DiagnosticStatus.OK, "real-time: SCHED_RR")
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    why = f"not real-time but nice {nice}: others may delay the loop; raise the limit rtprio"
    return _diagnostic(name, DiagnosticStatus.WARN, why)


def _hash(values: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _never_wait_to_send() -> None:
    """One computer that does not answer must not keep commands from all others.

    What is sent to it Linux keeps (ARP) for three seconds, by default as much as the socket's
    buffer has room for, and Fast DDS sends to everybody by one socket: 1.1 s after a cable was
    pulled the gate stood still. So it takes more room, and loses what finds none. Options of Fast
    DDS from 2.14 on; other middleware does not read them.
    """
    name = "FASTDDS_BUILTIN_TRANSPORTS"
    transports = os.environ.get(name) or "DEFAULT"
    if "?" not in transports:
        os.environ[name] = f"{transports}?sockets_size=1MB&non_blocking=true"


def _ask_for_priority() -> None:
    """Before other processes, as far as the system lets us; the loop sleeps most of the time."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(10))
    except OSError:
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, 0, -10)


def main() -> None:
    _ask_for_priority()  # first, so that the threads of DDS inherit it
    _never_wait_to_send()
    # Our own handlers: rclpy's would end the context before zeros are out.
    received: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _frame: received.append(number))
    rclpy.init(args=sys.argv, signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = GateNode()
    except BadParameter as error:
        refuse("gate", error)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    gc.collect()
    gc.freeze()  # a collection in the middle of a cycle would make it late; see _diagnose
    gc.disable()
    while not received and not node.is_stuck:
        try:
            executor.spin_once(timeout_sec=0.1)
        except Exception as error:  # of publishing, of a service, of the executor itself
            node.fail(error)
    node.stop(f"{signal.Signals(received[0]).name} received" if received else "no cycle any more")
    node.say_farewell()
    node.close()
    rclpy.shutdown()
    if not received:
        sys.exit(os.EX_SOFTWARE)
