"""The arm in real time: it obeys fresh commands and stands still without them."""

import threading
import time

import numpy as np
import pytest

from whale_ros.sim.arm import STEP_S, SimArm
from whale_ros.sim.realtime import MAX_SPEED_M_S, RealTimeArm

TIMEOUT_S = 0.1


@pytest.fixture
def robot(arm: SimArm):
    arm.reset("reach-v3", 0)
    robot = RealTimeArm(arm, TIMEOUT_S)
    running = True
    thread = threading.Thread(target=robot.run, args=(lambda count: None, lambda: running))
    thread.start()
    time.sleep(0.3)  # the arm sags a little at the start
    yield robot
    running = False
    thread.join()


def keep(command, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        command()
        time.sleep(0.02)


def position(robot):
    with robot.lock:
        return robot.arm.hand_position


def test_simulated_time_keeps_up_with_real_time(robot):
    began, simulated = time.monotonic(), robot.arm.time_s
    time.sleep(1.0)
    passed = time.monotonic() - began
    assert abs(robot.arm.time_s - simulated - passed) < 0.15


def test_it_follows_a_twist_and_stops_by_itself_when_commands_stop(robot):
    before = position(robot)
    began = robot.arm.time_s
    keep(lambda: robot.drive(np.array([0, 0, 0.1, 0, 0, 0])), 0.6)
    moved = (position(robot) - before)[2]
    assert moved > 0.6 * 0.1 * (robot.arm.time_s - began)
    time.sleep(TIMEOUT_S + 0.5)
    rest = position(robot)
    time.sleep(0.3)
    assert np.linalg.norm(position(robot) - rest) < 1e-3
    assert (rest - before)[2] < moved + 0.1 * (TIMEOUT_S + 0.1)


def test_it_goes_to_a_pose_and_stays_there(robot):
    quaternion = robot.arm.hand_quaternion
    target = position(robot) + [0.05, 0.0, 0.05]
    keep(lambda: robot.approach(target, quaternion), 1.5)
    np.testing.assert_allclose(position(robot), target, atol=5e-3)


def test_it_is_never_faster_than_its_limit(robot):
    before, began = position(robot), robot.arm.time_s
    keep(lambda: robot.drive(np.array([0, 0, 5.0, 0, 0, 0])), 0.4)
    elapsed = robot.arm.time_s - began
    assert 0.01 < (position(robot) - before)[2] < MAX_SPEED_M_S * (elapsed + STEP_S) + 0.01


def test_a_reset_forgets_the_last_command(robot):
    robot.drive(np.array([0, 0, 0.2, 0, 0, 0]))
    robot.grip(1.0)
    robot.reset("reach-v3", 0)
    start = position(robot)
    time.sleep(0.3)
    assert np.linalg.norm(position(robot) - start) < 0.01
    assert robot.arm.gripper_command == 0.0
