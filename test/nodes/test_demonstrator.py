"""The demonstrator as a process, with the simulated robot: as somebody records demonstrations."""

import time

import numpy as np
import pytest
from geometry_msgs.msg import TwistStamped
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Bool, Float64
from std_srvs.srv import Trigger

from whale_ros.actions.space import ActionSpace
from whale_ros.msg import SimState
from whale_ros.nodes.commands import twist_array
from whale_ros.srv import ResetTask

pytestmark = pytest.mark.ros

LATCHED = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)
SPACE = ActionSpace()


@pytest.fixture
def bench(ros, start):
    files = ("--params-file", "config/robots/bench.yaml")
    start("sim_robot", "--params-file", "config/sim_robot.yaml", *files)
    start("demonstrator", "--params-file", "config/demonstrator.yaml", *files)
    states = ros.listen(SimState, "sim_robot/state")
    ros.wait(lambda: states, "the simulated robot", 60.0)
    return states


def demonstrate(ros):
    return ros.call(Trigger, "demonstrator/demonstrate")


def reset(ros, states, seed):
    before = states[-1].episode
    request = ResetTask.Request(task="slide-block", seed=seed)
    assert ros.call(ResetTask, "sim_robot/reset_task", request).success
    ros.wait(lambda: states[-1].episode > before, "the reset")


def test_it_does_the_task_at_a_steady_rate_within_the_limits_and_then_is_silent(ros, bench):
    reset(ros, bench, seed=4)
    twists, closings = [], ros.listen(Float64, "gripper/command")
    ros.node.create_subscription(
        TwistStamped, "arm/twist_command", lambda m: twists.append((time.monotonic(), m)), 10
    )
    active = ros.listen(Bool, "demonstrator/active", LATCHED)
    ros.wait(lambda: active, "whether it is active")
    began = demonstrate(ros)
    assert began.success and "slide-block" in began.message
    refused = demonstrate(ros)
    assert not refused.success and "under way" in refused.message
    ros.wait(lambda: not active[-1].data and len(active) > 2, "the end", 30.0)
    assert bench[-1].success
    assert 15 < (len(twists) - 1) / (twists[-1][0] - twists[0][0]) < 30
    velocities = np.array([twist_array(message.twist) for _, message in twists])
    assert SPACE.why_invalid(np.pad(velocities * SPACE.step_s, ((0, 0), (0, 1)))) is None
    assert not velocities[-1].any()
    assert {0.0, 1.0} <= {message.data for message in closings}
    ros.spin(0.2)
    twists.clear()
    ros.spin(0.4)
    assert not twists


def test_a_reset_ends_a_demonstration(ros, bench):
    active = ros.listen(Bool, "demonstrator/active", LATCHED)
    assert demonstrate(ros).success
    ros.wait(lambda: active and active[-1].data, "the beginning")
    reset(ros, bench, seed=5)
    ros.wait(lambda: not active[-1].data, "the end", 5.0)


def test_it_refuses_while_another_node_commands_the_arm_and_says_which(ros, bench):
    ros.node.create_publisher(TwistStamped, "arm/twist_command", 1)
    ros.wait(lambda: "test commands arm/twist_command" in demonstrate(ros).message, "a refusal")


def test_without_an_arm_it_says_so(ros, start):
    start("demonstrator")
    answer = demonstrate(ros)
    assert not answer.success and "no arm listens to arm/twist_command" in answer.message
