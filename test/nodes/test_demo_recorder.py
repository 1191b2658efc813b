"""The recorder as a process, with a robot's topics published over DDS."""

import array
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import PoseStamped, TwistStamped
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import CompressedImage, Image, JointState
from std_msgs.msg import Float64, String
from std_srvs.srv import SetBool, Trigger

from whale_ros.data.bags import Bag
from whale_ros.data.recording import read_recording
from whale_ros.msg import RecorderStatus

pytestmark = pytest.mark.ros

BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
FILES = ("--params-file", "config/recorder.yaml", "--params-file", "config/robots/sim.yaml")


class Robot:
    """Publishes as the simulated arm does, while the test waits; keeps what it sent."""

    def __init__(self, ros, camera=Image, arm=True) -> None:
        self._ros, self.sent, self.frozen, self.encoding = ros, {}, False, "rgb8"
        self.frames = dict.fromkeys(("/ee_pose", "/arm/twist_command"), "base")
        self._publishers, self.kinds, node = {}, {}, ros.node
        self._camera = camera
        for topic, kind, rate, qos in (
            ("/camera/image", camera, 10, BEST_EFFORT),
            ("/ee_pose", PoseStamped, 40, BEST_EFFORT),
            ("/gripper/state", JointState, 40, BEST_EFFORT),
            ("/arm/twist_command", TwistStamped, 50, 10),
        ):
            if arm or topic != "/arm/twist_command":
                self.add(topic, kind, qos)
            node.create_timer(1 / rate, lambda topic=topic: self._tick(topic))
        self.add("/gripper/command", Float64, 10)

    def add(self, topic, kind, qos) -> None:
        self._publishers[topic] = self._ros.node.create_publisher(kind, topic, qos)
        self.sent[topic], self.kinds[topic] = [], kind

    def is_heard(self, topic) -> bool:
        return self._publishers[topic].get_subscription_count() > 0

    def remove(self, topic) -> None:
        self._ros.node.destroy_publisher(self._publishers.pop(topic))

    def publish(self, topic, message) -> None:
        self.sent[topic].append(message)
        self._publishers[topic].publish(message)

    def _tick(self, topic) -> None:
        if topic not in self._publishers:
            return
        count = len(self.sent[topic])
        message = {
            "/camera/image": self._image, "/ee_pose": PoseStamped,
            "/gripper/state": JointState, "/arm/twist_command": TwistStamped,
        }[topic]()  # fmt: skip
        if not isinstance(message, self.kinds[topic]):
            return
        message.header.stamp = self._ros.node.get_clock().now().to_msg()
        message.header.frame_id = self.frames.get(topic, "")
        if topic == "/ee_pose":
            message.pose.position.x = 0.005 * count
        elif topic == "/arm/twist_command":
            message.twist.linear.x = float(count)
        self.publish(topic, message)

    def _image(self):
        value = 0 if self.frozen else len(self.sent["/camera/image"]) % 256
        pixels = array.array("B", [value] * (32 * 32 * 3))
        if self._camera is CompressedImage:
            return CompressedImage(format="jpeg", data=pixels)
        return Image(height=32, width=32, step=96, encoding=self.encoding, data=pixels)


class Recorder:
    def __init__(self, ros, start, folder, *arguments) -> None:
        self._ros = ros
        self.process = start("demo_recorder", *FILES, "-p", f"folder:={folder}", *arguments)
        self.statuses = ros.listen(RecorderStatus, "demo_recorder/status", LATCHED)
        ros.wait(lambda: self.statuses, "a status of the recorder")

    def ask(self, name):
        return self._ros.call(Trigger, f"demo_recorder/{name}")

    def keep(self, success=True):
        request = SetBool.Request(data=success)
        return self._ros.call(SetBool, "demo_recorder/keep", request)

    def start(self) -> str:
        """Ask until it begins, as the first pictures may be on their way still."""
        answer = self._ros.wait(lambda: (a := self.ask("start")).success and a, "a start")
        return answer.message

    def wait_for(self, condition, what):
        return self._ros.wait(lambda: condition(self.statuses[-1]) and self.statuses[-1], what)

    def check(self, name):
        return next((c for c in self.statuses[-1].checks if c.name == name), None)


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "demonstrations"


def messages_of(bag: Path, robot: Robot) -> dict[str, list]:
    """As ROS reads the bytes in the bag, which another library has read, and decoded too."""
    with AnyReader([bag]) as reader:
        found: dict[str, list] = {c.topic: [] for c in reader.connections}
        for connection, _, message in reader.messages():
            reader.deserialize(message, connection.msgtype)
            kind = robot.kinds[connection.topic]
            found[connection.topic].append(deserialize_message(bytes(message), kind))
    return found


def is_part_of(part: list, whole: list) -> bool:
    """Without a hole."""
    return any(whole[i : i + len(part)] == part for i in range(len(whole) - len(part) + 1))


def test_an_episode_is_what_the_robot_said(ros, start, folder):
    robot = Robot(ros)
    robot.add("/scene", String, LATCHED)
    robot.publish("/scene", String(data="a table"))
    robot.publish("/gripper/command", Float64(data=0.25))
    recorder = Recorder(
        ros, start, folder, "-p", "extra_topics:=[/scene, /absent]", "-p", "task:=push"
    )
    diagnostics = ros.listen(DiagnosticArray, "/diagnostics")
    ros.wait(lambda: recorder.check("camera_rate").ok, "the camera")
    robot.publish("/gripper/command", Float64(data=0.5))
    ros.spin(0.3)
    assert recorder.start() == "episode_000000 begins; without it: nobody publishes /absent"
    assert "keep or discard it" in recorder.ask("start").message
    ros.wait(lambda: recorder.statuses[-1].messages > 150, "a second of messages")
    assert recorder.statuses[-1].state == RecorderStatus.RECORDING
    value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value="gently")
    request = SetParameters.Request(parameters=[Parameter(name="note", value=value)])
    assert ros.call(SetParameters, "demo_recorder/set_parameters", request).results[0].successful
    assert recorder.ask("stop").success
    recorder.wait_for(lambda status: status.state == RecorderStatus.STOPPED, "the stop")
    assert recorder.keep().message.startswith("episode_000000 is kept, a success")

    bag = folder / "episode_000000"
    found = messages_of(bag, robot)
    assert set(found) == set(robot.sent)
    for topic in ("/camera/image", "/ee_pose", "/gripper/state"):  # best effort
        assert len(found[topic]) > 8
        assert found[topic] == [sent for sent in robot.sent[topic] if sent in found[topic]]
    commands = found["/arm/twist_command"]
    assert len(commands) > 30 and is_part_of(commands, robot.sent["/arm/twist_command"])
    assert found["/scene"] == robot.sent["/scene"]  # said before the episode, holds still
    assert found["/gripper/command"] == robot.sent["/gripper/command"][-1:]
    recording = read_recording(bag)
    assert (recording.success, recording.task, recording.note) == (True, "push", "gently")
    assert recording.topics["command"] == "/arm/twist_command"
    assert recording.extra_topics == ["/scene"] and recording.stopped_by == "operator"
    assert recording.action_space["max_translation_m"] == 0.05
    counted = {name: values["messages"] for name, values in recording.statistics.items()}
    assert counted["/camera/image"] == len(found["/camera/image"])
    checks = {check["name"]: check["ok"] for check in recording.checks}
    assert len(checks) == 9 and checks["picture"] and checks["disk"] and checks["written"]
    named = {status.name for array in diagnostics for status in array.status}
    assert {"demo_recorder: camera_rate", "demo_recorder: disk"} <= named

    assert recorder.start().startswith("episode_000001 begins")
    assert recorder.ask("discard").message == "episode_000001 is discarded"
    assert not recorder.keep().success and recorder.statuses[-1].kept == 1
    assert [path.name for path in folder.iterdir()] == ["episode_000000"]


def test_a_topic_that_is_needed_is_asked_for_by_name(ros, start, folder):
    recorder = Recorder(ros, start, folder)
    answer = recorder.ask("start")
    assert not answer.success
    assert "nobody publishes /camera/image (sensor_msgs/msg/Image, the camera)" in answer.message
    robot = Robot(ros, arm=False)
    only = "nobody publishes /arm/twist_command (geometry_msgs/msg/TwistStamped, the command)"
    ros.wait(lambda: recorder.ask("start").message == only, "all but the command")
    robot.add("/arm/twist_command", PoseStamped, 10)
    wrong = "carries geometry_msgs/msg/PoseStamped, expected geometry_msgs/msg/TwistStamped"
    ros.wait(lambda: wrong in recorder.ask("start").message, "the wrong type")
    robot.remove("/arm/twist_command")
    ros.wait(lambda: recorder.ask("start").message == only, "the wrong one to be gone")
    robot.add("/arm/twist_command", TwistStamped, 10)
    assert recorder.start().startswith("episode_000000 begins")
    recorder.process.send_signal(signal.SIGINT)  # an episode that is open stays, unlabelled
    assert recorder.process.wait(10) == 0
    recording = read_recording(folder / "episode_000000.partial")
    assert (recording.success, recording.stopped_by) == (None, "end of the recorder")


def test_pictures_of_which_no_episode_can_be_made_are_not_recorded(ros, start, folder):
    robot = Robot(ros)
    robot.encoding = "8UC3"
    recorder = Recorder(ros, start, folder)
    why = "pictures of /camera/image are 8UC3, of which no episode can be made"
    ros.wait(lambda: why in recorder.ask("start").message, "the refusal")
    robot.encoding = "bgr8"
    assert recorder.start().startswith("episode_000000 begins")


@pytest.mark.parametrize("topic", ["/ee_pose", "/arm/twist_command"])
def test_what_is_in_another_frame_than_the_base_s_is_not_recorded(ros, start, folder, topic):
    robot = Robot(ros)
    robot.frames[topic] = "tool0"
    recorder = Recorder(ros, start, folder)
    ros.wait(lambda: robot.is_heard(topic), "the recorder on it")
    heard = len(robot.sent[topic]) + 10
    ros.wait(lambda: len(robot.sent[topic]) > heard, "some messages")
    why = f"{topic} is in the frame 'tool0', base_frame is 'base': no episode can be made"
    ros.wait(lambda: why in recorder.ask("start").message, "the refusal")
    robot.frames[topic] = "base"
    assert recorder.start().startswith("episode_000000 begins")


def test_a_frozen_camera_is_shown_and_stored(ros, start, folder):
    robot = Robot(ros, CompressedImage, arm=False)  # it is led by hand
    recorder = Recorder(ros, start, folder, "-p", "action_source:=pose_differences")
    recorder.start()
    robot.frozen = True
    ros.wait(lambda: not recorder.check("picture").ok, "the frozen camera")
    robot.frozen = False
    ros.wait(lambda: recorder.check("picture").ok, "the camera again")
    answer = recorder.keep(False)
    assert answer.message.startswith("episode_000000 is kept, a failure; but ")
    assert "it is frozen" in answer.message
    recording = read_recording(folder / "episode_000000")
    assert "picture" in {check["name"] for check in recording.checks if not check["ok"]}
    assert len(messages_of(folder / "episode_000000", robot)["/camera/image"]) > 5
    assert json.loads((folder / "episode_000000" / "recording.json").read_text())["format"] == 1


class PosesWithPictures(Robot):
    """A pose right before each picture, and no other."""

    def _tick(self, topic) -> None:
        if topic == "/camera/image":
            super()._tick("/ee_pose")
        if topic != "/ee_pose":
            super()._tick(topic)


def test_a_picture_that_comes_after_its_pose_is_not_skewed(ros, start, folder):
    PosesWithPictures(ros)
    recorder = Recorder(ros, start, folder)
    recorder.start()
    ros.wait(lambda: recorder.statuses[-1].duration_s > 1.5, "some pictures")
    recorder.keep()
    (skew,) = (c for c in read_recording(folder / "episode_000000").checks if c["name"] == "skew")
    assert skew["value"] < 0.01


def test_a_killed_recorder_loses_less_than_a_second(ros, start, folder):
    robot = Robot(ros)
    recorder = Recorder(ros, start, folder)
    recorder.start()
    ros.spin(1.3)
    recorder.process.send_signal(signal.SIGKILL)
    killed_ns = time.time_ns()
    recorder.process.wait()
    bag = folder / "episode_000000.partial"
    messages = list(Bag(bag).messages({"/arm/twist_command": {"geometry_msgs/msg/TwistStamped"}}))
    numbers = [message.content.twist.linear.x for message in messages]
    assert numbers == [numbers[0] + i for i in range(len(numbers))]
    assert killed_ns - messages[-1].received_ns < 1e9
    assert read_recording(bag).success is None

    again = Recorder(ros, start, folder)
    told = again.wait_for(lambda status: "not finished" in status.message, "a hint")
    assert "episode_000000.partial" in told.message
    assert again.start().startswith("episode_000001 begins")
    assert len(robot.sent["/camera/image"]) > 10


def test_what_contradicts_itself_is_refused_at_the_start(start):
    process = start("demo_recorder", *FILES, "-p", "command_type:=pose", stderr=subprocess.PIPE)
    assert "set action_source to pose_differences" in process.communicate(timeout=20)[1]
    assert process.returncode == os.EX_CONFIG
