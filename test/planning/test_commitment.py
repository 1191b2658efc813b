"""A new plan continues what the arm does anyway, to the action."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from whale_ros.actions.space import GRIPPER
from whale_ros.planning.commitment import RunningChunk, commit, is_due, shift, stand_still

STEP_S = 0.2
START_S = 1_700_000_000.0


def running(length=8):
    actions = np.arange(length * 7, dtype=float).reshape(length, 7)
    return RunningChunk(START_S, actions, STEP_S)


@given(st.floats(-0.5, 3.0), st.integers(1, 8), st.integers(1, 6))
def test_played_by_time_the_new_plan_does_what_the_old_one_would_have_done(elapsed, length, steps):
    chunk = running(length)
    start_s, committed = commit(chunk, START_S + elapsed, steps, STEP_S, gripper=0.5)
    assert len(committed) >= steps
    assert -1e-3 <= start_s - (START_S + elapsed) <= STEP_S + max(0, -elapsed)
    for i, action in enumerate(committed):
        middle = start_s + (i + 0.5) * STEP_S
        step = int((middle - chunk.start_s) // STEP_S)
        if middle < chunk.end_s:
            np.testing.assert_array_equal(action, chunk.actions[step])
        else:
            assert not action[:GRIPPER].any()


def test_an_idle_arm_is_committed_to_stand_still_with_its_gripper_as_it_is():
    start_s, committed = commit(None, 5.0, 4, STEP_S, gripper=1.0)
    assert start_s == 5.0
    np.testing.assert_array_equal(committed, stand_still(4, 1.0))


def test_after_its_end_a_chunk_commits_to_nothing():
    start_s, committed = commit(running(), START_S + 2.0, 4, STEP_S, gripper=0.0)
    assert start_s == START_S + 2.0
    np.testing.assert_array_equal(committed, stand_still(4, 0.0))


def test_planning_is_due_when_it_takes_as_long_as_the_chunk_still_runs():
    assert is_due(None, 0.0, 4)
    assert not is_due(running(8), START_S + 0.55, 4)  # the next step begins at 0.6, then 5 are left
    assert is_due(running(8), START_S + 0.65, 4)
    assert is_due(running(8), START_S + 9.0, 4)


def test_a_sequence_that_began_earlier_is_shifted_to_the_nearest_whole_step():
    actions = running(8).actions
    for age_s, first in ((0.0, 0), (0.09, 0), (0.11, 1), (0.39, 2), (-0.1, 0)):
        np.testing.assert_array_equal(shift(actions, age_s, STEP_S), actions[first:])
    assert len(shift(actions, 60.0, STEP_S)) == 0
