"""Two arms in two namespaces at once: what moves one of them leaves the other alone."""

import json
import math

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from rclpy.duration import Duration
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from std_srvs.srv import Trigger

from whale_ros.actions.space import ActionSpace
from whale_ros.msg import ApprovedChunk, GateStatus, Uncertainty
from whale_ros.nodes.sequences import to_message

pytestmark = pytest.mark.ros

SPACE = ActionSpace()
ROBOT = ("--params-file", "config/robots/sim.yaml")


class Arm:
    """A simulated arm and its gate in a namespace; the test is its planner and world model."""

    def __init__(self, ros, start, name: str) -> None:
        self.ros, self.name, node = ros, name, ros.node
        self.beats = 0
        self.poses = ros.listen(PoseStamped, f"/{name}/ee_pose", qos_profile_sensor_data)
        self.statuses = ros.listen(GateStatus, f"/{name}/gate/status")
        self._chunks = node.create_publisher(ApprovedChunk, f"/{name}/approved_chunk", 1)
        self._heartbeats = node.create_publisher(
            Uncertainty, f"/{name}/world_model/uncertainty", qos_profile_sensor_data
        )
        node.create_subscription(
            Image, f"/{name}/camera/image", self._judge, qos_profile_sensor_data
        )
        space = ("-r", f"__ns:=/{name}")
        start("sim_robot", "--params-file", "config/sim_robot.yaml", *ROBOT, *space)
        start("gate", "--params-file", "config/gate.yaml", *ROBOT, *space)

    def _judge(self, image: Image) -> None:
        self.beats += 1
        self._heartbeats.publish(
            Uncertainty(
                header=image.header,
                ready=True,
                took_part=15,
                uncertainty=0.1 + 1e-4 * self.beats,
                threshold=0.5,
                familiarity_error=0.1,
                familiarity_threshold=0.3,
                checkpoint=self.name,
            )
        )

    @property
    def position(self) -> np.ndarray:
        p = self.poses[-1].pose.position
        return np.array([p.x, p.y, p.z])

    def wait_for(self, words: str) -> None:
        self.ros.wait(
            lambda: self.statuses and words in self.statuses[-1].reason, f"{self.name}: {words}", 40
        )

    def move(self, x: float) -> None:
        """A chunk of four steps along x [m]."""
        actions = np.zeros((4, 7))
        actions[:, 0] = x / 4
        now = self.ros.node.get_clock().now()
        chunk = ApprovedChunk(
            session=self.name,
            sequence=1,
            checkpoint=self.name,
            uncertainty=0.2,
            threshold=0.5,
            expiry=(now + Duration(seconds=2)).to_msg(),
            actions=to_message(actions, "move", now.nanoseconds / 1e9, SPACE, "base"),
        )
        chunk.header.stamp, chunk.header.frame_id = now.to_msg(), "base"
        self._chunks.publish(chunk)


def test_each_gate_moves_and_stops_its_own_arm_only(ros, start, tmp_path):
    left, right = (Arm(ros, start, name) for name in ("left", "right"))
    for arm in (left, right):
        arm.wait_for("waiting for an approved chunk")
    before = left.position, right.position
    left.move(0.06)
    left.wait_for("is finished")
    assert left.position[0] - before[0][0] == pytest.approx(0.06, abs=0.02)
    assert math.dist(right.position, before[1]) < 0.003
    assert right.statuses[-1].chunks_executed == 0

    assert ros.call(Trigger, "/left/gate/stop").success
    left.wait_for("the stop service was called")
    right.move(-0.06)
    right.wait_for("is finished")
    assert right.position[0] - before[1][0] == pytest.approx(-0.06, abs=0.02)
    assert left.statuses[-1].state == GateStatus.LATCHED

    for name in ("left", "right"):
        lines = (tmp_path / "log" / f"{name}.gate_audit.jsonl").read_text().splitlines()
        assert {json.loads(line)["node"] for line in lines} == {f"/{name}/gate"}
