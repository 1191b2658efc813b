import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whale_ros.gate.config import GateConfig
from whale_ros.gate.pose import Pose
from whale_ros.gate.setpoint import Setpoint, shorten

CONFIG = GateConfig()  # actions of at most 0.05 m and 0.1 rad; box up to x 0.32, margin 0.01
HERE = np.array([0.0, 0.6, 0.2])
UNTURNED = np.array([1.0, 0.0, 0.0, 0.0])
numbers = st.floats(-3, 3)
twists = st.lists(st.floats(-0.5, 0.5), min_size=6, max_size=6).map(np.array)


def pose(position=HERE, quaternion=UNTURNED):
    return Pose(1.0, "base", np.array(position, float), np.array(quaternion, float))


def matrix(quaternion):
    """The rotation matrix, by the textbook."""
    w, x, y, z = quaternion
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def rotation(vector):
    """By Rodrigues' formula."""
    angle = np.linalg.norm(vector)
    x, y, z = vector / angle if angle else vector
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross


def test_nothing_is_commanded_before_the_first_pose():
    setpoint = Setpoint(CONFIG)
    setpoint.hold(None)
    assert setpoint.position is None and setpoint.quaternion is None


@given(twists, st.lists(numbers, min_size=4, max_size=4), st.integers(1, 5))
def test_it_integrates_twists_in_the_base_frame_from_the_measured_pose(twist, start, steps):
    start = np.array(start) + [4.0, 0, 0, 0]
    start /= np.linalg.norm(start)
    setpoint, turn = Setpoint(CONFIG), np.eye(3)
    for _ in range(steps):
        setpoint.follow(twist, 0.01, pose(quaternion=start))
        turn = rotation(twist[3:] * 0.01) @ turn
    np.testing.assert_allclose(setpoint.position, HERE + twist[:3] * 0.01 * steps, atol=1e-12)
    np.testing.assert_allclose(matrix(setpoint.quaternion), turn @ matrix(start), atol=1e-9)
    assert np.linalg.norm(setpoint.quaternion) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("axis", np.eye(6))
def test_it_never_leads_a_stuck_arm_by_more_than_an_action(axis):
    setpoint, stuck = Setpoint(CONFIG), pose(quaternion=np.array([0.8, 0.0, 0.6, 0.0]))
    for _ in range(100):
        setpoint.follow(axis * 0.5, 0.01, stuck)
    np.testing.assert_allclose(setpoint.position, HERE + axis[:3] * 0.05, atol=1e-9)
    expected = rotation(axis[3:] * 0.1) @ matrix(stuck.quaternion)
    np.testing.assert_allclose(matrix(setpoint.quaternion), expected, atol=1e-9)


@pytest.mark.parametrize("side", [-1, 1])
@pytest.mark.parametrize("axis", range(3))
def test_it_leaves_the_box_by_the_margin_at_most(side, axis):
    edge = (CONFIG.workspace_high if side > 0 else CONFIG.workspace_low)[axis]
    start, twist = HERE.copy(), np.zeros(6)
    start[axis], twist[axis] = edge, side * 0.2
    setpoint = Setpoint(CONFIG)
    for _ in range(20):
        setpoint.follow(twist, 0.01, pose(start))
    assert setpoint.position[axis] == pytest.approx(edge + side * 0.01)


def test_a_hold_stays_where_it_began():
    setpoint = Setpoint(CONFIG)
    setpoint.follow(np.full(6, 0.1), 0.01, pose())
    began = pose(HERE + [0.001, 0, 0], [0.0, 1.0, 0.0, 0.0])
    setpoint.hold(began)
    assert setpoint.position is began.position and setpoint.quaternion is began.quaternion
    setpoint.hold(pose(HERE + [0.002, 0, 0]))
    setpoint.hold(None)
    assert setpoint.position is began.position and setpoint.quaternion is began.quaternion


@pytest.mark.parametrize(("moved", "follows"), [(0.0499, False), (0.0501, True)])
@pytest.mark.parametrize("axis", np.eye(3))
def test_a_held_arm_that_somebody_took_elsewhere_is_held_there(moved, follows, axis):
    setpoint = Setpoint(CONFIG)
    setpoint.hold(pose())
    np.testing.assert_array_equal(setpoint.position, HERE)
    elsewhere = pose(HERE - axis * moved)
    setpoint.hold(elsewhere)
    assert (setpoint.position is elsewhere.position) == follows


def test_after_a_hold_motion_begins_from_the_measured_pose():
    setpoint = Setpoint(CONFIG)
    setpoint.follow(np.full(6, 0.4), 0.01, pose())
    setpoint.hold(pose())
    there = pose(HERE + [0.0, 0.03, 0.0], [0.6, 0.0, 0.0, 0.8])
    setpoint.follow(np.zeros(6), 0.01, there)
    np.testing.assert_allclose(setpoint.position, there.position, atol=1e-15)
    np.testing.assert_allclose(setpoint.quaternion, there.quaternion, atol=1e-15)


def test_a_hold_without_a_pose_ends_the_motion_too():
    setpoint = Setpoint(CONFIG)
    setpoint.follow(np.full(6, 0.4), 0.01, pose())
    setpoint.hold(None)
    there = pose(HERE + [0.0, 0.03, 0.0])
    setpoint.follow(np.zeros(6), 0.01, there)
    np.testing.assert_allclose(setpoint.position, there.position, atol=1e-15)


@given(st.lists(numbers, min_size=1, max_size=4), st.floats(0.01, 5))
def test_what_is_too_long_is_shortened_and_the_rest_is_left_alone(vector, limit):
    vector = np.array(vector)
    result, length = shorten(vector, limit), np.linalg.norm(vector)
    if length <= limit:
        np.testing.assert_array_equal(result, vector)
    else:
        np.testing.assert_allclose(result, vector / length * limit, atol=1e-12)


def test_shortening_nothing_gives_nothing():
    np.testing.assert_array_equal(shorten(np.zeros(3), 1.0), np.zeros(3))


def test_a_pose_that_is_nearly_unit_gives_a_command_that_is():
    setpoint = Setpoint(CONFIG)
    setpoint.follow(np.array([0.1, 0, 0, 0, 0, 0.1]), 0.01, pose(quaternion=1.0009 * UNTURNED))
    assert np.linalg.norm(setpoint.quaternion) == pytest.approx(1.0, abs=1e-9)
