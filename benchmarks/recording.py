"""Processor time per message of the demo_recorder, and of one that decodes what it writes.

    python benchmarks/recording.py [--seconds 40] [--json]

A robot in a process of its own publishes pictures of 640 x 480 (30 a second), poses (100) and
commands (50). The naive recorder takes messages as Python objects, serializes them again and writes
each at once; it checks nothing. Both run at the same time. The ratio is its time by ours.
"""

import argparse
import array
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import rclpy
from geometry_msgs.msg import PoseStamped, TwistStamped
from mcap.exceptions import EndOfFile
from mcap.records import Message
from mcap.stream_reader import StreamReader
from mcap.writer import Writer
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.serialization import serialize_message
from sensor_msgs.msg import Image

from whale_ros.nodes.message_definitions import definition
from whale_ros.nodes.processes import isolate
from whale_ros.nodes.recorder_client import RecorderClient
from whale_ros.nodes.topics import type_name

ROOT = Path(__file__).resolve().parents[1]
TOPICS = {
    "camera/image": (Image, 30),
    "ee_pose": (PoseStamped, 100),
    "arm/twist_command": (TwistStamped, 50),
}
OURS = [str(ROOT / "scripts/demo_recorder"), "--ros-args", "-p", "gripper_command_topic:=''"]
UNDER_WAY = 10_000_000  # bytes, about ten pictures
WRITTEN_S = 1.5  # after which what came is in the file


class Robot(Node):
    def __init__(self) -> None:
        super().__init__("robot")
        pixels = array.array("B", os.urandom(640 * 480 * 3))
        for topic, (kind, rate) in TOPICS.items():
            message = kind()
            if kind is Image:
                message = Image(height=480, width=640, step=1920, encoding="rgb8", data=pixels)
            publisher = self.create_publisher(kind, topic, 10)
            self.create_timer(1 / rate, lambda p=publisher, m=message: self._publish(p, m))

    def _publish(self, publisher, message) -> None:
        message.header.stamp = self.get_clock().now().to_msg()
        publisher.publish(message)


class NaiveRecorder(Node):
    def __init__(self, folder: str) -> None:
        super().__init__("naive_recorder")
        self._writer = Writer((Path(folder) / "naive.mcap").open("wb"), use_chunking=False)
        self._writer.start("ros2")
        for topic, (kind, _) in TOPICS.items():
            name = type_name(kind)
            schema = self._writer.register_schema(name, "ros2msg", definition(name).encode())
            channel = self._writer.register_channel(topic, "cdr", schema)
            self.create_subscription(kind, topic, lambda m, c=channel: self._write(c, m), 20)

    def _write(self, channel: int, message) -> None:
        now = self.get_clock().now().nanoseconds
        self._writer.add_message(channel, now, serialize_message(message), now)
        self._writer.flush()


def measure(seconds: float) -> dict[str, float]:
    """Both record the same robot at the same time; what they wrote is deleted."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        ours, naive = Path(folder) / "ours", Path(folder) / "naive"
        naive.mkdir()
        start(stack, __file__, "--as", "robot")
        processes = {
            ours: start(stack, *OURS, "-p", f"folder:={ours}"),
            naive: start(stack, __file__, "--as", "naive", str(naive)),
        }
        begin_recording()
        while not all(any(f.stat().st_size > UNDER_WAY for f in bags(x)) for x in processes):
            time.sleep(0.1)
        began_ns = time.time_ns()
        used = {where: -processor_s(process.pid) for where, process in processes.items()}
        time.sleep(seconds)
        for where, process in processes.items():
            used[where] += processor_s(process.pid)
        ended_ns = time.time_ns()
        time.sleep(WRITTEN_S)
        counts = {x: messages_between(bags(x)[0], began_ns, ended_ns) for x in processes}
    naive_ms, ours_ms = (1000 * used[where] / counts[where] for where in (naive, ours))
    return {
        "naive_ms": naive_ms,
        "recorder_ms": ours_ms,
        "ratio": naive_ms / ours_ms,
        "naive_messages": counts[naive],
        "recorder_messages": counts[ours],
    }


def bags(folder: Path) -> list[Path]:
    return list(folder.rglob("*.mcap"))


def start(stack: contextlib.ExitStack, *command: str) -> subprocess.Popen:
    """A process that ends with the stack."""
    process = subprocess.Popen([sys.executable, *command], stderr=subprocess.DEVNULL)
    stack.callback(process.wait)
    stack.callback(process.send_signal, signal.SIGINT)
    return process


def begin_recording() -> None:
    client = RecorderClient()
    while not client.is_ready():
        client.spin_once()
    recording = False
    while not recording:
        asked = client.start()
        while not asked.done():
            client.spin_once()
        recording = asked.result().success
    client.destroy_node()


def processor_s(pid: int) -> float:
    """Of all threads of a process since its start."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def messages_between(file: Path, began_ns: int, ended_ns: int) -> int:
    count = 0
    with file.open("rb") as stream, contextlib.suppress(EndOfFile):
        for record in StreamReader(stream).records:
            if isinstance(record, Message):
                count += began_ns <= record.log_time < ended_ns
    return count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=40.0, help="of measuring (default 40)")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--as", dest="role", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.role:
        name, *folder = arguments.role
        rclpy.init()
        with contextlib.suppress(KeyboardInterrupt, ExternalShutdownException):
            rclpy.spin(Robot() if name == "robot" else NaiveRecorder(*folder))
        return
    isolate()
    rclpy.init()
    result = measure(arguments.seconds)
    rclpy.shutdown()
    if arguments.json:
        print(json.dumps(result))
        return
    for name in ("naive", "recorder"):
        print(f"{name}: {result[f'{name}_messages']} messages, {result[f'{name}_ms']:.3f} ms each")
    print(f"ratio {result['ratio']:.2f}")


if __name__ == "__main__":
    main()
