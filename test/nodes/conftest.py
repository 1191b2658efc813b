"""Real processes and real DDS for node tests.

def test_it_publishes(ros, start):
    start("gate", "--params-file", "config/robots/sim.yaml")
    seen = ros.listen(GateStatus, "gate/status")
    ros.wait(lambda: seen, "a status from the gate")
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="no ROS here: source scripts/env.sh after `make setup`")

import rclpy
from rclpy.context import Context
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSProfile, ReliabilityPolicy

from whale_ros.nodes.domain import take_domain

ROOT = Path(__file__).resolve().parents[2]
BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)


class Ros:
    """A node of the test, spun only while the test waits."""

    def __init__(self, domain_id: int) -> None:
        self.context = Context()
        rclpy.init(context=self.context, domain_id=domain_id)
        self.node = rclpy.create_node("test", context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.node)

    def listen(self, kind: type, topic: str, qos: Any = 10) -> list:
        """A list to which every message of the topic is added."""
        seen: list = []
        self.node.create_subscription(kind, topic, seen.append, qos)
        return seen

    def spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.executor.spin_once(timeout_sec=left)

    def wait(self, condition: Callable[[], Any], what: str, seconds: float = 20.0) -> Any:
        """Spin until the condition is true and return its value; fail naming `what`."""
        end = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < end, f"waited {seconds:g} s in vain for {what}"
            self.executor.spin_once(timeout_sec=0.01)
        return value

    def call(self, kind: type, service: str, request: Any = None, seconds: float = 20.0) -> Any:
        """Call a service and return its response."""
        client = self.node.create_client(kind, service)
        self.wait(client.service_is_ready, f"service {service}", seconds)
        future = client.call_async(request or kind.Request())
        self.wait(future.done, f"a response of {service}", seconds)
        self.node.destroy_client(client)
        return future.result()

    def close(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)


@pytest.fixture(scope="module")
def checkpoint(small_model, tmp_path_factory) -> Path:
    """A folder with random weights, calibrated for 3 candidates of 8 steps: a threshold of 1."""
    from whale_ros.actions.space import ActionSpace
    from whale_ros.imagination.calibration import (
        CALIBRATION,
        MEASURE,
        Calibration,
        Conditions,
        save_calibration,
    )
    from whale_ros.imagination.retracing import K
    from whale_ros.world_model.checkpoint import Card, Scales, save_checkpoint

    folder = tmp_path_factory.mktemp("checkpoint") / "small"
    card = Card(small_model.config, ActionSpace(), Scales(0.25, 0.5, 0.75))
    card = save_checkpoint(folder, small_model, card)
    conditions = Conditions(
        card.sha256, "camera", 128, 128, 32, K, 3, 8, card.action_space.signature,
        MEASURE,
    )  # fmt: skip
    scores = {"reach": (*[0.5] * 35, *[2.0] * 5), "push": (4.0,) * 35}
    save_calibration(
        folder / CALIBRATION, Calibration(conditions, 0.5, scores, 0.5, "data", card.scales)
    )
    return folder


@pytest.fixture
def domain_id() -> Iterator[int]:
    """A ROS domain that no other test on this machine uses now."""
    number, lock = take_domain(range(20, 100))
    yield number
    os.close(lock)


@pytest.fixture
def ros(domain_id: int) -> Iterator[Ros]:
    node = Ros(domain_id)
    yield node
    node.close()


@pytest.fixture
def start(domain_id: int, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen]]:
    """start("gate", *ros_arguments) runs scripts/gate, or a script elsewhere by its path; what
    still runs at the end is stopped. arguments: others than ROS's."""
    started = []

    def start(
        name: str | Path, *ros_arguments: str, arguments: Sequence[str] = (), **popen: Any
    ) -> subprocess.Popen:
        own = {"ROS_DOMAIN_ID": str(domain_id), "ROS_LOG_DIR": str(tmp_path / "log")}
        environment = {**os.environ, **own}
        command = [sys.executable, str(ROOT / "scripts" / name), *arguments]
        if ros_arguments:
            command += ["--ros-args", *ros_arguments]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **popen)
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    for process in started:
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
