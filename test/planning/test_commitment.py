"""A new plan continues what the arm does anyway, to the action."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whale_ros.actions.space import GRIPPER
from whale_ros.planning.commitment import (
    RunningChunk,
    follow,
    imagined_steps,
    is_due,
    settle,
    stand_still,
)

STEP_S = 0.2
START_S = 1_700_000_000.0


def running(length=8):
    actions = np.arange(length * 7, dtype=float).reshape(length, 7)
    return RunningChunk(START_S, actions, STEP_S)


@given(st.floats(-0.5, 3.0), st.integers(1, 8), st.integers(1, 6), st.floats(0.01, 1.2))
def test_played_by_time_the_new_plan_does_what_the_old_one_would_have_done(
    elapsed, length, steps, expected
):
    chunk, now = running(length), START_S + elapsed
    settled = settle(chunk, now, steps, STEP_S, gripper=0.5, moved_s=0.0, expected_s=expected)
    start_s = settled.start_s
    end_s = start_s + len(settled.actions) * STEP_S
    assert len(settled.actions) >= steps or end_s >= now + expected - 1e-3
    assert len(settled.actions)
    assert -1e-3 <= start_s - (START_S + elapsed) <= STEP_S + max(0, -elapsed)
    for i, action in enumerate(settled.actions):
        middle = start_s + (i + 0.5) * STEP_S
        step = int((middle - chunk.start_s) // STEP_S)
        if middle < chunk.end_s:
            np.testing.assert_array_equal(action, chunk.actions[step])
        else:
            assert not action[:GRIPPER].any()


@pytest.mark.parametrize("chunk", [None, running(8)])
def test_an_arm_without_a_chunk_stands_still_with_its_gripper_as_it_is(chunk):
    now_s = START_S + 2.0  # the chunk ended at 1.6
    settled = settle(chunk, now_s, 4, STEP_S, gripper=1.0, moved_s=START_S + 1.6, expected_s=0.1)
    assert settled.start_s == now_s
    assert settled.motion_end_s == START_S + 1.6
    np.testing.assert_array_equal(settled.actions, stand_still(4, 1.0))


def test_planning_is_due_when_it_takes_as_long_as_the_chunk_still_runs():
    assert is_due(None, 0.0, 4)
    assert not is_due(running(8), START_S + 0.75, 4)
    assert is_due(running(8), START_S + 0.78, 4)
    assert len(running(8).from_next_step(START_S + 0.78)[1]) == 4
    assert is_due(running(8), START_S + 9.0, 4)


def test_of_a_policy_what_the_settled_motion_has_done_is_past():
    policy = running(16).actions
    settled = settle(running(8), START_S + 0.65, 4, STEP_S, 0.0, moved_s=0.0, expected_s=0.8)
    for began, first in ((0.0, 8), (0.6, 5), (0.69, 5), (0.71, 4), (1.6, 0), (1.8, 0)):
        rest = follow(policy, START_S + began, settled, STEP_S)
        np.testing.assert_array_equal(rest, policy[first:])


def test_while_the_arm_stands_still_a_policy_keeps_all_that_it_has_not_done():
    policy = running(16).actions
    settled = settle(None, START_S, 4, STEP_S, 0.0, moved_s=START_S - 0.5, expected_s=0.8)
    np.testing.assert_array_equal(follow(policy, START_S - 0.4, settled, STEP_S), policy)
    np.testing.assert_array_equal(follow(policy, START_S - 0.9, settled, STEP_S), policy[2:])
    assert len(follow(policy, START_S - 60, settled, STEP_S)) == 0


@pytest.mark.parametrize(("expected", "still"), [(0.5, 0), (0.7, 2)])
def test_the_arm_pauses_only_for_a_plan_that_is_expected_after_the_end_of_its_motion(
    expected, still
):
    settled = settle(running(6), START_S + 0.6, 5, STEP_S, 0.0, moved_s=0.0, expected_s=expected)
    moving, resting = running(6).actions[3:], stand_still(still, running(6).actions[-1, GRIPPER])
    np.testing.assert_array_equal(settled.actions, np.concatenate([moving, resting]))


@given(st.floats(-0.5, 3.0), st.integers(1, 8))
def test_no_action_counts_as_imagined_that_ends_after_the_last_imagined_frame(age, horizon):
    steps = imagined_steps(START_S - age, START_S, horizon, STEP_S)
    last_frame = START_S - age + horizon * STEP_S
    assert steps <= horizon
    assert START_S + steps * STEP_S <= last_frame + 1e-3
    assert steps == horizon or START_S + (steps + 1) * STEP_S > last_frame - 1e-3
