"""The gate as a process, with a camera, an arm and a world model played by the test over DDS."""

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import rclpy
from builtin_interfaces.msg import Duration
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped, Twist, TwistStamped
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.time import Time
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image
from std_msgs.msg import Bool, Float64, String
from std_srvs.srv import Trigger

from whale_ros.actions.space import ActionSpace
from whale_ros.msg import ApprovedChunk, GateStatus, Uncertainty
from whale_ros.nodes.sequences import seconds
from whale_ros.srv import SetGateMode

pytestmark = pytest.mark.ros

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
FAILING_GATE = Path(__file__).with_name("failing_gate.py")
FILES = ("--params-file", "config/gate.yaml", "--params-file", "config/robots/sim.yaml")


class World:
    """Camera 10 Hz, pose 50 Hz, heartbeat 10 Hz; the planner approves when told to."""

    def __init__(self, ros, now: Callable[[], Time] | None = None) -> None:
        self.ros, node = ros, ros.node
        self.now = now or node.get_clock().now
        self.silent: set[str] = set()
        self.uncertainty = 0.1
        self.sequence = 0
        self.beats = 0
        self.images = node.create_publisher(Image, "camera/image", BEST_EFFORT)
        self.poses = node.create_publisher(PoseStamped, "ee_pose", BEST_EFFORT)
        self.heartbeats = node.create_publisher(Uncertainty, "world_model/uncertainty", BEST_EFFORT)
        self.chunks = node.create_publisher(ApprovedChunk, "approved_chunk", 1)
        node.create_timer(0.1, self._send_image)
        node.create_timer(0.02, self._send_pose)
        node.create_timer(0.1, self._send_heartbeat)
        self.statuses = ros.listen(GateStatus, "gate/status")
        self.commands = ros.listen(TwistStamped, "arm/twist_command")
        self.grippers = ros.listen(Float64, "gripper/command")

    def _stamp(self, message):
        message.header.stamp = self.now().to_msg()
        return message

    def _send_image(self) -> None:
        if "camera" not in self.silent:
            rows = 8 if "rows" not in self.silent else 4
            image = Image(height=rows, width=8, step=24, encoding="rgb8", data=bytes(24 * rows))
            self.images.publish(self._stamp(image))

    def _send_pose(self) -> None:
        if "pose" not in self.silent:
            pose = self._stamp(PoseStamped())
            pose.header.frame_id = "base"
            pose.pose.position.y, pose.pose.position.z = 0.6, 0.2
            pose.pose.orientation.w = 1.0
            self.poses.publish(pose)

    def _send_heartbeat(self) -> None:
        if "heartbeat" not in self.silent:
            self.beats += 1
            message = Uncertainty(ready=True, uncertainty=self.uncertainty + 1e-4 * self.beats)
            message.took_part = 15
            message.threshold, message.familiarity_threshold = 0.5, 0.3
            message.familiarity_error, message.checkpoint = 0.1, "abc"
            self.heartbeats.publish(self._stamp(message))

    def chunk(self, actions=((0.02, 0, 0, 0, 0, 0, 0.5),) * 8, **change) -> ApprovedChunk:
        self.sequence += 1
        now = self.now()
        message = ApprovedChunk(session="s", sequence=self.sequence, checkpoint="abc")
        message.uncertainty, message.threshold = 0.2, 0.5
        message.header.stamp = now.to_msg()
        message.expiry = Time(nanoseconds=now.nanoseconds + 2 * 10**9).to_msg()
        sequence = message.actions
        sequence.header.stamp, sequence.header.frame_id = now.to_msg(), "base"
        sequence.id, sequence.action_space = f"chunk {self.sequence}", ActionSpace().signature
        sequence.step_duration = Duration(nanosec=200_000_000)
        sequence.horizon, sequence.dim = len(actions), len(actions[0])
        sequence.actions = [float(number) for action in actions for number in action]
        for name, value in change.items():
            setattr(sequence if hasattr(sequence, name) else message, name, value)
        return message

    def send(self, *arguments, **change) -> None:
        self.chunks.publish(self.chunk(*arguments, **change))

    @property
    def status(self) -> GateStatus:
        return self.statuses[-1]

    def moving(self) -> bool:
        twist = self.commands[-1].twist
        return any((twist.linear.x, twist.linear.y, twist.linear.z, twist.angular.x))

    def stood_for_s(self) -> float:
        """How long the newest commands have been zeros, by their stamps."""
        zeros: list[float] = []
        for command in reversed(self.commands):
            if command.twist.linear.x:
                break
            zeros.append(seconds(command.header.stamp))
        return zeros[0] - zeros[-1] if zeros else 0.0

    def wait_released(self) -> None:
        self.ros.wait(
            lambda: self.statuses and self.status.reason.startswith("waiting for an approved"),
            "the gate to wait for a chunk",
        )

    def start_moving(self) -> None:
        self.send()
        self.ros.wait(
            lambda: self.moving() and self.status.state == GateStatus.EXECUTING, "the arm to move"
        )

    def wait_held(self, state: int) -> None:
        self.ros.wait(
            lambda: self.status.state == state and not self.moving(), f"state {state} and zeros"
        )


class SimTime:
    """Publishes /clock while the test waits, each time a period later, as a simulator does."""

    def __init__(self, ros, hz: float) -> None:
        self.ns, self.period_ns, self.runs = 10**12, round(1e9 / hz), True
        self._publisher = ros.node.create_publisher(Clock, "/clock", 1)
        ros.node.create_timer(1 / hz, self._tick)

    def now(self) -> Time:
        return Time(nanoseconds=self.ns)

    def _tick(self) -> None:
        if self.runs:
            self.ns += self.period_ns
            self._publisher.publish(Clock(clock=self.now().to_msg()))


@pytest.fixture
def world(ros, start, tmp_path) -> World:
    """Everything well, the gate released and waiting."""
    world = World(ros)
    world.log = tmp_path / "audit.jsonl"
    world.process = start("gate", *FILES, "-p", f"audit_log:={world.log}")
    world.wait_released()
    return world


@pytest.fixture
def failing(ros, start, monkeypatch) -> Callable[[str], World]:
    """failing(method): a gate of which one method raises as soon as it executes a chunk."""

    def start_failing(method: str) -> World:
        monkeypatch.setenv("FAILS", method)
        world = World(ros)
        world.process = start(FAILING_GATE, *FILES)
        world.wait_released()
        return world

    return start_failing


def test_it_never_loads_torch():
    code = "import sys, whale_ros.nodes.gate; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_alone_it_publishes_zeros_and_says_what_is_missing(ros, start):
    start("gate", *FILES)
    statuses = ros.listen(GateStatus, "gate/status")
    commands = ros.listen(TwistStamped, "arm/twist_command")
    ros.wait(lambda: len(statuses) > 20 and "nobody publishes" in statuses[-1].reason, "statuses")
    ros.wait(lambda: len(commands) > 20, "commands")
    assert statuses[-1].state == GateStatus.HOLD and statuses[-1].mode == GateStatus.MODE_GATE
    for words in ("no camera message yet", "nobody publishes camera/image (sensor_msgs/msg/Image)"):
        assert words in statuses[-1].reason
    assert all(command.twist.linear.x == 0 for command in commands)
    assert commands[-1].header.frame_id == "base"


def test_a_valid_chunk_moves_the_arm_and_ends_at_zero(world, ros):
    diagnostics = ros.listen(DiagnosticArray, "/diagnostics")
    world.start_moving()
    assert world.status.state == GateStatus.EXECUTING and world.status.chunk_id == "chunk 1"
    ros.wait(lambda: world.commands[-1].twist.linear.x == pytest.approx(0.1), "full speed")
    assert world.grippers[-1].data == 0.5
    ros.wait(lambda: not world.moving(), "the end of the chunk")
    world.wait_released()
    assert "is finished" in world.status.reason and world.status.chunks_executed == 1
    lines = [json.loads(line) for line in world.log.read_text().splitlines()]
    assert lines[0]["event"] == "start" and "chunk accepted" in {line["event"] for line in lines}
    assert {line["node"] for line in lines} == {"/gate"}
    (parameters,) = {line["parameters_sha256"] for line in lines}
    assert len(parameters) == 64
    ros.wait(lambda: diagnostics, "diagnostics")
    names = {status.name for status in diagnostics[-1].status}
    assert {"gate: state", "gate: camera", "gate: uncertainty", "gate: audit_log"} <= names


@pytest.mark.parametrize("stream", ["camera", "pose", "heartbeat"])
def test_a_stream_that_stops_stops_the_arm(world, ros, stream):
    world.start_moving()
    world.silent = {stream}
    world.wait_held(GateStatus.HOLD)
    # A pose that stops may show in the images first, which then have no pose of their moment.
    ros.wait(lambda: f"newest {stream} message is" in world.status.reason, "the reason")
    world.silent = set()
    world.wait_released()
    assert not world.moving()
    world.start_moving()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"actions": ((0.01, 0, math.nan, 0, 0, 0, 0),)}, "action 0 holds nan at index 2"),
        ({"actions": ((0.01, 0, 0, 0, 0, 0),)}, "actions have 6 numbers"),
        ({"actions": ((0.2, 0, 0, 0, 0, 0, 0),)}, "moves 0.2000 m in a step"),
        ({"horizon": 2**32 - 1}, "4294967295 actions"),
        ({"action_space": "joints"}, "'joints'"),
        ({"uncertainty": 0.6}, "uncertainty 0.6, limit 0.5"),
    ],
)
def test_a_bad_chunk_is_rejected_with_the_reason(world, ros, change, words):
    change = dict(change)
    actions = change.pop("actions", ((0.01, 0, 0, 0, 0, 0, 0),))
    world.chunks.publish(world.chunk(actions, **change))
    ros.wait(lambda: words in world.status.reason, f"{words!r} in the status")
    assert world.status.chunks_rejected == 1
    assert not any(command.twist.linear.x for command in world.commands)


def test_pictures_of_another_size_latch(world):
    world.start_moving()
    world.silent = {"rows"}
    world.wait_held(GateStatus.LATCHED)
    assert "pictures are 8 x 4 rgb8, the first ones were 8 x 8 rgb8" in world.status.reason


def test_an_estop_that_is_pressed_or_dies_latches(ros, start):
    world = World(ros)
    presses = ros.node.create_publisher(Bool, "estop", 1)
    pressed = False
    timer = ros.node.create_timer(0.02, lambda: presses.publish(Bool(data=pressed)))
    start("gate", *FILES, "-p", "estop_topic:=estop", "-p", "estop_timeout_s:=0.3")
    world.wait_released()
    world.start_moving()
    pressed = True
    world.wait_held(GateStatus.LATCHED)
    assert "estop is pressed" in world.status.reason
    assert "pressed" in ros.call(Trigger, "gate/reset").message
    pressed = False
    ros.wait(lambda: ros.call(Trigger, "gate/reset").success, "the reset")
    world.wait_released()
    world.start_moving()
    ros.node.destroy_timer(timer)
    world.wait_held(GateStatus.LATCHED)
    assert "counts as pressed" in world.status.reason


def test_a_chunk_counts_once(world, ros):
    chunk = world.chunk(((0.01, 0, 0, 0, 0, 0, 0),))
    world.chunks.publish(chunk)
    ros.wait(lambda: "is finished" in world.status.reason, "the end of the chunk")
    world.chunks.publish(chunk)
    ros.wait(lambda: world.status.chunks_rejected == 1, "the replay to be rejected")
    assert world.status.chunks_executed == 1


def test_stop_reset_and_modes(world, ros):
    world.start_moving()
    assert ros.call(Trigger, "gate/stop").success
    world.wait_held(GateStatus.LATCHED)
    assert "stop service" in world.status.reason
    world.send()
    ros.wait(lambda: world.status.chunks_rejected == 1, "the chunk to be rejected")
    assert ros.call(Trigger, "gate/reset").success
    world.wait_released()
    world.start_moving()
    assert ros.call(SetGateMode, "gate/set_mode", SetGateMode.Request(mode="hold")).success
    world.wait_held(GateStatus.HOLD)
    assert world.status.mode == GateStatus.MODE_HOLD
    refused = ros.call(SetGateMode, "gate/set_mode", SetGateMode.Request(mode="fast"))
    assert not refused.success and "'fast'" in refused.message


def test_another_publisher_of_commands_latches_the_gate(world, ros):
    world.start_moving()
    intruder = ros.node.create_publisher(TwistStamped, "arm/twist_command", 1)
    world.wait_held(GateStatus.LATCHED)
    assert "/test on /arm/twist_command" in world.status.reason
    refused = ros.call(Trigger, "gate/reset")
    assert not refused.success and "/test" in refused.message
    ros.node.destroy_publisher(intruder)
    ros.wait(lambda: ros.call(Trigger, "gate/reset").success, "the reset")


def test_a_camera_topic_of_another_type_is_named(ros, start):
    ros.node.create_publisher(String, "camera/image", 1)
    start("gate", *FILES)
    statuses = ros.listen(GateStatus, "gate/status")
    words = "camera/image carries std_msgs/msg/String, expected sensor_msgs/msg/Image"
    ros.wait(lambda: statuses and words in statuses[-1].reason, f"{words!r} in the status")
    assert statuses[-1].state == GateStatus.HOLD


def test_qos_of_the_chunks_that_do_not_fit_are_named_on_both_sides(world, ros):
    ros.node.create_publisher(ApprovedChunk, "approved_chunk", BEST_EFFORT)
    words = "approved_chunk has incompatible QoS: test publishes best_effort and volatile, we want"
    ros.wait(lambda: words in world.status.reason, f"{words!r} in the status")
    assert world.status.state == GateStatus.HOLD


@pytest.mark.parametrize(
    ("kind", "topic"), [(TwistStamped, "arm/twist_command"), (Float64, "gripper/command")]
)
def test_a_driver_that_cannot_hear_the_commands_is_named(ros, start, kind, topic):
    statuses = ros.listen(GateStatus, "gate/status")
    ros.listen(kind, topic, LATCHED)
    start("gate", *FILES)
    words = (
        f"{topic} has incompatible QoS: we publish reliable and volatile, "
        "test wants reliable and transient_local"
    )
    ros.wait(lambda: statuses and words in statuses[-1].reason, f"{words!r} in the status")
    assert statuses[-1].state == GateStatus.HOLD


def test_a_tool_that_cannot_hear_beside_a_driver_that_can_stops_no_arm(world, ros):
    world.start_moving()
    ros.listen(TwistStamped, "arm/twist_command", LATCHED)
    ros.wait(lambda: ros.node.count_subscribers("arm/twist_command") == 2, "the tool")
    seen = len(world.statuses)
    ros.wait(lambda: len(world.statuses) > seen + 10, "statuses")  # ten looks at the graph
    assert not any("QoS" in status.reason for status in world.statuses[seen:])


def test_a_driver_that_takes_commands_of_another_type_is_named(ros, start):
    statuses = ros.listen(GateStatus, "gate/status")
    ros.listen(Twist, "arm/twist_command")
    start("gate", *FILES)
    words = "arm/twist_command is wanted as geometry_msgs/msg/Twist, we publish geometry_msgs/msg/"
    ros.wait(lambda: statuses and words in statuses[-1].reason, f"{words!r} in the status")


def test_a_second_planner_holds_the_arm_before_it_says_anything(world, ros):
    world.start_moving()
    other = rclpy.create_node("other_planner", context=ros.context)
    other.create_publisher(ApprovedChunk, "approved_chunk", 1)
    world.wait_held(GateStatus.HOLD)
    words = "2 planners publish approved_chunk: /other_planner, /test"
    ros.wait(lambda: words in world.status.reason, f"{words!r} in the status")
    other.destroy_node()
    world.wait_released()
    world.start_moving()


def test_a_planner_of_the_same_name_may_be_the_one_before_that_was_killed(world, ros):
    again = rclpy.create_node("test", context=ros.context)
    again.create_publisher(ApprovedChunk, "approved_chunk", 1)
    ros.wait(lambda: ros.node.count_publishers("approved_chunk") == 2, "both to be seen")
    ros.spin(0.5)  # so that the gate sees them too
    world.start_moving()
    again.destroy_node()


def test_a_second_planner_is_noticed_also_within_one_cycle(world, ros):
    other = ros.node.create_publisher(ApprovedChunk, "approved_chunk", 1)
    world.start_moving()
    chunks = world.chunk(session="other"), world.chunk()
    for publisher, chunk in zip((other, world.chunks), chunks, strict=True):
        publisher.publish(chunk)
    world.wait_held(GateStatus.LATCHED)
    assert "two planners" in world.status.reason


def test_an_estop_topic_of_another_type_is_named(ros, start):
    ros.node.create_publisher(String, "estop", 1)
    start("gate", *FILES, "-p", "estop_topic:=estop")
    statuses = ros.listen(GateStatus, "gate/status")
    words = "estop carries std_msgs/msg/String, expected std_msgs/msg/Bool"
    ros.wait(lambda: statuses and words in statuses[-1].reason, f"{words!r} in the status")


def test_in_simulated_time_it_moves_and_a_clock_that_pauses_or_jumps_holds_it(ros, start):
    clock = SimTime(ros, hz=50)
    world = World(ros, clock.now)
    start("gate", *FILES, "-p", "use_sim_time:=true")
    world.wait_released()
    world.start_moving()

    clock.runs = False
    world.wait_held(GateStatus.HOLD)
    ros.wait(lambda: "ROS time has stood still" in world.status.reason, "the reason")
    stamp, before = world.status.header.stamp, len(world.commands)
    ros.wait(lambda: len(world.commands) > before + 20, "zeros while time stands still")
    assert world.status.header.stamp == stamp and not world.moving()
    clock.runs = True
    world.wait_released()
    assert world.status.chunks_executed == 1 and not world.moving(), "the old chunk is gone"
    world.start_moving()

    clock.ns += 5 * 10**8
    world.wait_held(GateStatus.HOLD)
    assert "ROS time jumped by +0.5" in world.status.reason
    world.wait_released()
    world.start_moving()

    clock.ns -= 3 * 10**9
    world.wait_held(GateStatus.LATCHED)
    assert "ROS time jumped by -" in world.status.reason
    ros.wait(lambda: ros.call(Trigger, "gate/reset").success, "the reset")
    world.wait_released()
    world.start_moving()


def test_simulated_time_that_is_told_too_seldom_holds_and_the_rate_is_named(ros, start):
    clock = SimTime(ros, hz=10)
    world = World(ros, clock.now)
    start("gate", *FILES, "-p", "use_sim_time:=true")
    words = "simulated time must come on /clock 50 times a second"
    ros.wait(lambda: world.statuses and words in world.status.reason, f"{words!r} in the status")
    assert world.status.state == GateStatus.HOLD


def test_poses_are_commanded_where_the_arm_takes_poses(ros, start):
    world = World(ros)
    arguments = ("-p", "command_type:=pose", "-p", "command_topic:=arm/pose_command")
    start("gate", *FILES, *arguments)
    poses = ros.listen(PoseStamped, "arm/pose_command")
    world.wait_released()
    assert poses[-1].pose.position.y == 0.6 and poses[-1].pose.position.x == 0.0
    world.send()
    ros.wait(lambda: poses[-1].pose.position.x > 0.01, "the pose to move on")
    assert poses[-1].header.frame_id == "base" and poses[-1].pose.orientation.w == 1.0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_on_a_signal_it_publishes_zeros_and_exits(world, ros, number):
    world.start_moving()
    world.process.send_signal(number)
    ros.wait(lambda: world.process.poll() is not None, "the end of the process")
    ros.spin(0.2)
    assert world.process.returncode == 0
    assert world.stood_for_s() >= 0.2


@pytest.mark.parametrize("part", ["_publish_command", "_publish_status", "_diagnose", "_tell"])
def test_an_exception_in_any_part_of_a_cycle_latches_and_zeros_go_on(failing, ros, part):
    world = failing(part)
    world.send()
    world.wait_held(GateStatus.LATCHED)
    assert f"RuntimeError: a mistake in {part}" in world.status.reason
    before = len(world.commands)
    ros.wait(lambda: len(world.commands) > before + 20, "zeros after the exception")
    assert not any(command.twist.linear.x for command in world.commands[before:])
    assert ros.call(Trigger, "gate/reset").success
    world.wait_released()
    world.start_moving()


def test_an_exception_in_a_service_latches(failing, ros):
    world = failing("_on_stop")
    client = ros.node.create_client(Trigger, "gate/stop")
    ros.wait(client.service_is_ready, "the service")
    world.start_moving()
    client.call_async(Trigger.Request())
    world.wait_held(GateStatus.LATCHED)
    assert "a mistake in _on_stop" in world.status.reason


def test_where_nothing_is_run_any_more_zeros_are_published_before_the_end(failing, ros):
    world = failing("spin_once")
    world.send()
    ros.wait(lambda: world.process.poll() is not None, "the end of the process")
    ros.spin(0.2)
    assert world.process.returncode == os.EX_SOFTWARE  # the launch file starts it again
    assert world.stood_for_s() >= 0.2
    assert "a mistake in spin_once" in world.status.reason


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("pose_timeout_s:=0.0", ["pose_timeout_s", "0.0", "from 0.02 to 1"]),
        ("max_linear_speed:=.nan", ["max_linear_speed", "nan"]),
        ("command_type:=effort", ["command_type", "'effort'", "'twist', 'pose'"]),
        ("workspace_low:=[0.0, 0.0, 5.0]", ["workspace_low z", "5.0"]),
        ("base_frame:=''", ["frame"]),
        ("pose_timout_s:=0.1", ["'pose_timout_s' is unknown", "mean 'pose_timeout_s'?"]),
    ],
)
def test_nonsense_at_the_start_ends_it_with_one_clear_line(start, argument, words):
    process = start("gate", "-p", argument, stderr=subprocess.PIPE)
    _, error = process.communicate(timeout=30)
    assert process.returncode == os.EX_CONFIG  # so that the launch file does not start it again
    assert "Traceback" not in error
    (line,) = [line for line in error.splitlines() if line.startswith("gate: ")]
    for word in words:
        assert word in line


def test_it_tells_whether_it_runs_in_real_time(world, ros):
    diagnostics = ros.listen(DiagnosticArray, "/diagnostics")

    def priority() -> DiagnosticStatus | None:
        told = [status for array in diagnostics for status in array.status]
        return next((s for s in reversed(told) if s.name == "gate: priority"), None)

    told = ros.wait(priority, "diagnostics")
    real_time = os.sched_getscheduler(world.process.pid) == os.SCHED_RR
    assert told.level == (DiagnosticStatus.OK if real_time else DiagnosticStatus.WARN)
    assert ("SCHED_RR" if real_time else "rtprio") in told.message
    os.sched_setscheduler(world.process.pid, os.SCHED_OTHER, os.sched_param(0))
    ros.wait(lambda: priority().level == DiagnosticStatus.WARN, "a warning")
    assert "not real-time but nice" in priority().message and "rtprio" in priority().message


def test_safety_parameters_cannot_be_changed_while_it_runs(world, ros):
    value = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=0.5)
    request = SetParameters.Request()
    request.parameters = [Parameter(name="max_linear_speed", value=value)]
    (result,) = ros.call(SetParameters, "gate/set_parameters", request).results
    assert not result.successful
    assert "read-only" in result.reason and "max_linear_speed" in result.reason
