"""The simulated arm goes where its twists lead, and starts again exactly as it began."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transforms3d.quaternions import qinverse, qmult

from whale_ros.actions.composition import to_rotation_vector
from whale_ros.sim.arm import (
    HELD_OUT_TASKS,
    MAX_TILT_RAD,
    STEP_S,
    TASKS,
    WORKSPACE_HIGH,
    WORKSPACE_LOW,
    SimArm,
)

SETTLE_S = 0.5


def drive(arm, twist, seconds, gripper=0.0):
    for _ in range(round(seconds / STEP_S)):
        arm.step(np.array(twist, float), gripper)


def settled(arm, task="reach-v3", seed=0):
    arm.reset(task, seed)
    drive(arm, np.zeros(6), SETTLE_S)
    return arm


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("speed", [-0.1, 0.1])
def test_the_hand_moves_as_far_as_a_linear_twist_says(arm, axis, speed):
    settled(arm)
    drive(arm, [0, 0, 0.1, 0, 0, 0], 0.6)  # away from the table
    before, turned = arm.hand_position, arm.hand_quaternion
    drive(arm, np.eye(6)[axis] * speed, 0.5)
    drive(arm, np.zeros(6), SETTLE_S)
    np.testing.assert_allclose(arm.hand_position - before, np.eye(3)[axis] * speed * 0.5, atol=4e-3)
    assert np.linalg.norm(to_rotation_vector(qmult(arm.hand_quaternion, qinverse(turned)))) < 0.03


@pytest.mark.parametrize("axis", range(3))
def test_the_hand_turns_as_far_as_an_angular_twist_says(arm, axis):
    settled(arm)
    before = arm.hand_quaternion
    drive(arm, np.eye(6)[3 + axis] * 0.4, 0.5)
    drive(arm, np.zeros(6), SETTLE_S)
    turn = to_rotation_vector(qmult(arm.hand_quaternion, qinverse(before)))
    np.testing.assert_allclose(turn, np.eye(3)[axis] * 0.2, atol=0.03)


def test_the_hand_never_tilts_beyond_its_limit(arm):
    settled(arm)
    drive(arm, [0, 0, 0, 0.5, 0, 0], 3.0)
    angle = np.linalg.norm(to_rotation_vector(arm.hand_quaternion))
    assert MAX_TILT_RAD - 0.1 < angle < MAX_TILT_RAD + 0.05


@pytest.mark.parametrize("direction", [[1, 1, 1], [-1, -1, -1]])
def test_the_hand_stays_in_the_workspace(arm, direction):
    settled(arm)
    drive(arm, [*np.array(direction) * 0.2, 0, 0, 0], 4.0)
    assert (arm.hand_position > WORKSPACE_LOW - 0.01).all()
    assert (arm.hand_position < WORKSPACE_HIGH + 0.01).all()


def test_without_a_twist_the_hand_stands_still(arm):
    before = settled(arm).hand_position
    drive(arm, np.zeros(6), 2.0)
    assert np.linalg.norm(arm.hand_position - before) < 1e-3


def test_the_gripper_closes_and_opens(arm):
    opened = settled(arm).gripper_opening
    drive(arm, np.zeros(6), 1.0, gripper=1.0)
    closed = arm.gripper_opening
    drive(arm, np.zeros(6), 1.0, gripper=0.0)
    assert closed < 0.5 * opened
    assert abs(arm.gripper_opening - opened) < 0.05


@pytest.mark.parametrize("task", TASKS)
def test_equal_seeds_give_equal_scenes_whatever_happened_before(arm, task):
    arm.reset(task, 7)
    observation, picture = arm.observation, arm.render()
    drive(arm, [0.1, 0, -0.1, 0.2, 0, 0], 1.0, gripper=1.0)
    arm.reset(task, 8)
    assert not np.array_equal(arm.observation, observation)
    drive(arm, [0.1, 0, -0.1, 0, 0, 0], 1.0)
    arm.reset(task, 7)
    np.testing.assert_array_equal(arm.observation, observation)
    np.testing.assert_array_equal(arm.render(), picture)
    drive(arm, np.zeros(6), 0.1)
    assert not arm.success


def test_a_picture_shows_the_arm_move(arm):
    before = settled(arm).render()
    drive(arm, [0.2, 0, 0, 0, 0, 0], 0.5)
    changed = np.abs(arm.render().astype(int) - before).max(axis=2) > 30
    assert before.shape == (128, 128, 3) and before.dtype == np.uint8
    assert 0.005 < changed.mean() < 0.5


def after(arm, twists):
    """What there is to see after each of the twists, in steps of 0.1 s."""
    for twist in twists:
        drive(arm, twist, 0.1, gripper=float(twist[0] > 0))
    return {
        "observation": arm.observation,
        "hand": arm.hand_position,
        "turn": arm.hand_quaternion,
        "progress": arm.progress,
        "force": (arm.contact_force, arm.object_force),
        "time": arm.time_s,
        "picture": arm.render(),
    }


@settings(max_examples=8, deadline=None)
@given(
    task=st.sampled_from(TASKS + HELD_OUT_TASKS),
    seed=st.integers(0, 1000),
    box=st.booleans(),
    leave=st.sampled_from(["go on", "start anew", "another task"]),
)
def test_equal_actions_from_a_restored_snapshot_lead_to_equal_states(arm, task, seed, box, leave):
    rng = np.random.default_rng(seed)
    before, twists = rng.uniform(-0.3, 0.3, (2, 8, 6))
    twists[:, 2] = -0.25  # down, on the table and what stands there
    arm.reset(task, seed)
    if box:
        arm.intruder.put(arm.hand_position - [0, 0, 0.15], 0.06)
    after(arm, before)
    snapshot, now = arm.snapshot(), after(arm, [])
    expected = after(arm, twists)
    if leave == "start anew":
        arm.reset(task, seed)
    elif leave == "another task":
        arm.reset("reach-v3" if task != "reach-v3" else "push-v3", seed)
        arm.intruder.put(arm.hand_position - [0, 0, 0.15], 0.1)
    for _ in range(2):
        arm.restore(snapshot)
        for wanted, again in ((now, after(arm, [])), (expected, after(arm, twists))):
            for name, value in wanted.items():
                np.testing.assert_array_equal(again[name], value, err_msg=name)


def test_another_arm_goes_on_from_a_snapshot_as_the_first_would(arm):
    settled(arm, "push-v3", 3)
    snapshot = arm.snapshot()
    other = SimArm()
    other.restore(snapshot)
    expected, again = (after(a, [[0.1, 0.1, -0.2, 0, 0, 0.2]] * 5) for a in (arm, other))
    other.close()
    for name, value in expected.items():
        np.testing.assert_array_equal(again[name], value, err_msg=name)


def test_an_unknown_task_is_refused_by_name_and_changes_nothing(arm):
    arm.reset("push-v3", 1)
    with pytest.raises(ValueError, match="juggle-v3.*push-v3"):
        arm.reset("juggle-v3", 0)
    assert arm.task == "push-v3"
    drive(arm, np.zeros(6), 0.1)
