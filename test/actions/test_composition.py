"""Composing and splitting actions lose nothing: the arm ends where it would have ended."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transforms3d.axangles import axangle2mat
from transforms3d.quaternions import quat2mat

from whale_ros.actions.composition import (
    compose,
    holds_gripper_switch,
    split,
    to_quaternion,
    to_rotation_vector,
)
from whale_ros.actions.space import DIM, GRIPPER, POSITION, ROTATION


def vectors(limit: float):
    return st.lists(st.floats(-limit, limit), min_size=3, max_size=3)


# Rotations of a whole window stay well under half a turn, where the rotation vector is unique.
actions = st.builds(
    lambda position, rotation, gripper: np.array([*position, *rotation, gripper]),
    vectors(0.5),
    vectors(0.25),
    st.floats(0, 1),
)
sequences = st.lists(actions, min_size=1, max_size=5).map(np.array)


@given(actions, st.integers(1, 10))
def test_composing_a_split_action_gives_it_back(action, n):
    parts = split(action, n)
    assert parts.shape == (n, DIM)
    np.testing.assert_allclose(compose(parts), action, atol=1e-6)


@given(sequences, sequences)
def test_composition_is_associative(first, second):
    at_once = compose(np.concatenate([first, second]))
    in_two = compose(np.stack([compose(first), compose(second)]))
    np.testing.assert_allclose(in_two, at_once, atol=1e-6)


@given(sequences)
def test_translations_add_up_and_the_last_gripper_command_counts(sequence):
    total = compose(sequence)
    np.testing.assert_allclose(total[POSITION], sequence[:, POSITION].sum(axis=0), atol=1e-12)
    assert total[GRIPPER] == sequence[-1, GRIPPER]


@given(st.lists(sequences.filter(lambda a: len(a) >= 2).map(lambda a: a[:2]), min_size=1))
def test_a_batch_is_composed_and_split_one_by_one(batch):
    composed = compose(np.stack(batch))
    np.testing.assert_allclose(composed, [compose(sequence) for sequence in batch], atol=1e-12)
    np.testing.assert_allclose(split(composed, 3), [split(action, 3) for action in composed])


def test_rotations_apply_in_order_in_the_base_frame():
    quarter = np.pi / 2
    turns = np.zeros((2, DIM))
    turns[0, ROTATION] = [quarter, 0, 0]
    turns[1, ROTATION] = [0, 0, quarter]
    # x first: y goes to z, which the turn about z leaves alone.
    pointed = quat2mat(to_quaternion(compose(turns)[ROTATION])) @ [0, 1, 0]
    np.testing.assert_allclose(pointed, [0, 0, 1], atol=1e-9)


@given(vectors(1.5))
def test_quaternions_agree_with_those_of_transforms3d(vector):
    angle = np.linalg.norm(vector)
    expected = axangle2mat(vector, angle) if angle > 1e-6 else np.eye(3)
    np.testing.assert_allclose(quat2mat(to_quaternion(vector)), expected, atol=2e-6)


@pytest.mark.parametrize("angle", [0.0, *10.0 ** np.arange(-12, 1), 3.0, np.pi - 1e-6])
def test_the_tiniest_and_the_largest_turns_keep_their_axis(angle):
    vector = angle * np.array([2.0, -1.0, 2.0]) / 3
    np.testing.assert_allclose(to_rotation_vector(to_quaternion(vector)), vector, atol=1e-12)


def test_a_turn_beyond_half_a_turn_comes_back_the_shorter_way():
    vector = np.array([0.0, 0.0, 1.5 * np.pi])
    shorter = to_rotation_vector(to_quaternion(vector))
    np.testing.assert_allclose(shorter, [0, 0, -0.5 * np.pi], atol=1e-12)


def test_a_gripper_switch_is_seen_wherever_it_falls_in_the_window():
    windows = np.zeros((3, 4, DIM))
    windows[1, 2:, GRIPPER] = 1  # closes
    windows[2, :, GRIPPER] = 1  # stays closed
    assert holds_gripper_switch(windows).tolist() == [False, True, False]
