"""`whale record` as a person sees it: a terminal, keys, one line that tells how it goes."""

import contextlib
import os
import pty
import re
import select
import signal
import sys
from pathlib import Path

import pytest
from geometry_msgs.msg import PoseStamped, TwistStamped
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float64

from whale_ros.data.recording import read_recording
from whale_ros.msg import Check, RecorderStatus
from whale_ros.nodes.recorder_keyboard import status_line

pytestmark = pytest.mark.ros

ROOT = Path(__file__).resolve().parents[2]


def test_the_line_tells_what_is_wrong_first_and_fits():
    values = {"camera_rate": 10, "pose_rate": 40, "skew": 0.004, "camera_missing": 0, "disk": 68}
    checks = [
        Check(name=name, ok=True, value=float(value), message=f"{name} is bad")
        for name, value in values.items()
    ]
    status = RecorderStatus(state=RecorderStatus.RECORDING, episode="episode_000003", checks=checks)
    status.duration_s = 12.3
    line = status_line(status, 200)
    assert line.startswith("REC episode_000003 12 s | camera 10.0 Hz, pose 40.0 Hz, skew 0.004 s")
    assert "k success, f failure, d discard" in line
    checks[2].ok = False
    status.checks = checks
    assert "| ! skew is bad |" in status_line(status, 200)
    assert len(status_line(status, 40)) == 39


class Terminal:
    """A terminal with `whale record` in it."""

    def __init__(self, ros, domain_id, *arguments) -> None:
        self._ros, self.shown = ros, ""
        self.pid, self._terminal = pty.fork()
        if not self.pid:
            os.environ.update(ROS_DOMAIN_ID=str(domain_id), COLUMNS="160")
            os.execv(sys.executable, [sys.executable, ROOT / "scripts/whale", "record", *arguments])

    def press(self, keys: str) -> None:
        self.shown = ""
        os.write(self._terminal, keys.encode())

    def wait_for(self, words: str) -> None:
        def seen():
            while select.select([self._terminal], [], [], 0)[0]:
                try:
                    self.shown += os.read(self._terminal, 65536).decode()
                except OSError:  # as a terminal says that its process has ended
                    break
            return re.search(words, self.shown, re.S)

        try:
            self._ros.wait(seen, words)
        except AssertionError as error:
            shown = f"{self.shown[:500]!r} ... {self.shown[-500:]!r}"
            raise AssertionError(f"{error} in {shown}") from error

    def insist(self, key: str, words: str) -> None:
        """Press as a person does who is refused: again, but not while the answer may come."""
        for _ in range(10):
            self.press(key)
            answered = f"{words}|nobody publishes|but is silent"
            self.wait_for(answered)
            if re.search(words, self.shown):
                return
            self._ros.spin(0.5)
        raise AssertionError(f"never {words!r} in {self.shown[:500]!r}")

    def end(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def terminal(ros, domain_id):
    """terminal(*arguments) runs `whale record` with them; nothing is left of it at the end."""
    started = []

    def start(*arguments) -> Terminal:
        started.append(Terminal(ros, domain_id, *arguments))
        return started[-1]

    yield start
    for each in started:
        with contextlib.suppress(ProcessLookupError):  # with the recorder that it started
            os.killpg(each.pid, signal.SIGKILL)


def test_episodes_are_recorded_by_keys(ros, terminal, tmp_path):
    stamp = ros.node.get_clock().now
    for topic, kind, rate in (
        ("camera/image", Image, 10),
        ("ee_pose", PoseStamped, 40),
        ("gripper/state", JointState, 20),
        ("arm/twist_command", TwistStamped, 20),
    ):
        publisher = ros.node.create_publisher(kind, topic, 10)

        def publish(publisher=publisher, kind=kind) -> None:
            message = kind()
            message.header.stamp, message.header.frame_id = stamp().to_msg(), "base"
            if kind is Image:
                message.encoding = "rgb8"
            publisher.publish(message)

        ros.node.create_timer(1 / rate, publish)

    whale = terminal(str(tmp_path / "demos"), "--robot", "sim", "--task", "push")
    whale.wait_for("0 kept [|] camera 10.0 Hz, pose 40.0 Hz.*space start")  # it has heard of them
    whale.press(" ")
    whale.wait_for("nobody publishes /gripper/command")
    ros.node.create_publisher(Float64, "gripper/command", 10)
    whale.insist(" ", "episode_000000 begins")  # as soon as the recorder has heard of it
    whale.wait_for("REC episode_000000 [1-9]")
    whale.press("q")
    whale.wait_for("episode_000000 is not decided")
    whale.press("nlike a feather\n")
    whale.wait_for("note: like a feather")
    whale.press("f")
    whale.wait_for("episode_000000 is kept, a failure.*1 kept")
    whale.press(" ")
    whale.wait_for("episode_000001 begins.*REC")
    whale.press(" ")
    whale.wait_for("episode_000001 waits: keep it, or discard it.*k keep as success")
    whale.press("d")
    whale.wait_for("episode_000001 is discarded.*1 kept")
    whale.press("q")
    assert whale.end() == 0
    assert sorted(p.name for p in (tmp_path / "demos").iterdir()) == [
        "episode_000000", "recorder.log"
    ]  # fmt: skip
    recording = read_recording(tmp_path / "demos" / "episode_000000")
    assert (recording.success, recording.note) == (False, "like a feather")
    assert (recording.robot, recording.task) == ("sim", "push")
