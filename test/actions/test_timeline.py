"""A timeline of commands gives the actions that the arm really executed."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from transforms3d.axangles import axangle2mat

from whale_ros.actions.space import DIM, GRIPPER, POSITION, ROTATION
from whale_ros.actions.timeline import CommandTimeline

NOW = 1_700_000_000  # seconds since 1970, where float precision is 0.24 microseconds

numbers = st.floats(-0.5, 0.5)
commands = st.lists(
    st.tuples(
        st.integers(0, 900),  # ms
        st.lists(numbers, min_size=6, max_size=6).map(np.array),
        st.sampled_from([0.0, 0.5, 1.0]),
    ),
    max_size=6,
    unique_by=lambda command: command[0],
).map(lambda entries: sorted(entries, key=lambda entry: entry[0]))


def timeline(entries) -> CommandTimeline:
    made = CommandTimeline()
    for ms, twist, gripper in entries:
        made.add(NOW + ms / 1000, twist, gripper)
    return made


@given(commands, st.integers(-200, 700), st.sampled_from([50, 200]), st.integers(1, 3))
def test_actions_agree_with_integrating_the_commands_in_steps_of_a_millisecond(
    entries, start, step, count
):
    actions = timeline(entries).actions(NOW + start / 1000, step / 1000, count)
    assert actions.shape == (count, DIM)
    for i, action in enumerate(actions):
        position, orientation = np.zeros(3), np.eye(3)
        seconds = {0.0: 0.0, 0.5: 0.0, 1.0: 0.0}
        for ms in range(start + i * step, start + (i + 1) * step):
            twist, gripper = np.zeros(6), 0.0
            for since, *command in entries:
                if since <= ms:
                    twist, gripper = command
            position += twist[:3] / 1000
            speed = np.linalg.norm(twist[3:])
            if speed > 1e-9:
                orientation = axangle2mat(twist[3:], speed / 1000) @ orientation
            seconds[gripper] += 0.001
        np.testing.assert_allclose(action[POSITION], position, atol=1e-5)
        angle = np.linalg.norm(action[ROTATION])
        turned = axangle2mat(action[ROTATION], angle) if angle > 1e-9 else np.eye(3)
        np.testing.assert_allclose(turned, orientation, atol=1e-5)
        longest = sorted(seconds.values())
        assume(longest[-1] - longest[-2] > 1e-3)  # of two that last equally long either will do
        assert action[GRIPPER] == max(seconds, key=lambda gripper: seconds[gripper])


def test_without_any_command_the_arm_stands_still_with_an_open_gripper():
    assert (CommandTimeline().actions(NOW, 0.2, 3) == 0).all()


def test_a_command_stays_in_force_until_the_next_one_however_long_that_takes():
    made = CommandTimeline()
    made.add(NOW, np.array([0.1, 0, 0, 0, 0, 0]), 1.0)
    made.add(NOW + 60, np.zeros(6), 0.0)
    action = made.actions(NOW + 59.5, 0.2, 1)[0]
    np.testing.assert_allclose(action, [0.02, 0, 0, 0, 0, 0, 1], atol=1e-6)


def test_it_does_not_grow_for_ever():
    made = CommandTimeline()
    for i in range(3000):
        made.add(NOW + i * 0.02, np.zeros(6), 0.0)
    assert len(made) < 1000


def test_a_clock_that_is_set_back_starts_afresh():
    made = CommandTimeline()
    made.add(NOW, np.ones(6), 1.0)
    made.add(5.0, np.array([0.1, 0, 0, 0, 0, 0]), 0.0)
    np.testing.assert_allclose(made.actions(5.0, 0.2, 1)[0], [0.02, 0, 0, 0, 0, 0, 0], atol=1e-9)


def test_an_extension_takes_over_at_its_start_and_leaves_the_original_alone():
    made = CommandTimeline()
    made.add(NOW, np.array([0.1, 0, 0, 0, 0, 0]), 0.0)
    made.add(NOW + 0.5, np.array([0.2, 0, 0, 0, 0, 0]), 0.0)
    planned = np.zeros((2, DIM))
    planned[:, 1] = [0.01, 0.03]
    planned[1, GRIPPER] = 1
    extended = made.extended(NOW + 0.3, planned, 0.2)
    actions = extended.actions(NOW + 0.1, 0.2, 3)
    np.testing.assert_allclose(actions[:, 0], [0.02, 0, 0], atol=1e-6)
    np.testing.assert_allclose(actions[:, 1], [0, 0.01, 0.03], atol=1e-6)
    assert actions[:, GRIPPER].tolist() == [0, 0, 1]
    np.testing.assert_allclose(made.actions(NOW + 0.5, 0.2, 1)[0, 0], 0.04, atol=1e-6)


def test_a_copy_does_not_follow_the_original():
    made = CommandTimeline()
    made.add(NOW, np.zeros(6), 0.0)
    copy = made.copy()
    made.add(NOW + 1, np.ones(6), 1.0)
    assert (len(copy), len(made)) == (1, 2)


@pytest.mark.parametrize("start", [0.0, NOW])
def test_successive_steps_leave_no_gap(start):
    made = CommandTimeline()
    made.add(start - 1, np.array([0.1, 0, 0, 0, 0, 0.3]), 0.0)
    fine = made.actions(start, 0.05, 8)
    coarse = made.actions(start, 0.2, 2)
    np.testing.assert_allclose(fine.sum(axis=0), coarse.sum(axis=0), atol=1e-6)
