"""Composing and splitting actions lose nothing: the arm ends where it would have ended."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transforms3d.axangles import axangle2mat
from transforms3d.quaternions import mat2quat, qmult, quat2mat

from whale_ros.actions.composition import (
    compose,
    holds_gripper_switch,
    multiply,
    split,
    to_quaternion,
    to_rotation_vector,
)
from whale_ros.actions.space import DIM, GRIPPER, POSITION, ROTATION


def vectors(limit: float):
    return st.lists(st.floats(-limit, limit), min_size=3, max_size=3).map(np.array)


# Rotations of a whole window stay well under half a turn, where the rotation vector is unique.
actions = st.builds(
    lambda position, rotation, gripper: np.array([*position, *rotation, gripper]),
    vectors(0.5),
    vectors(0.25),
    st.floats(0, 1),
)
sequences = st.lists(actions, min_size=1, max_size=5).map(np.array)


def matrix(vector: np.ndarray) -> np.ndarray:
    """The rotation of a rotation vector, by transforms3d."""
    angle = np.linalg.norm(vector)
    return np.eye(3) if angle < 1e-12 else axangle2mat(vector, angle)


@given(sequences)
def test_a_composition_moves_and_turns_as_its_actions_do_one_after_the_other(sequence):
    position, orientation = np.zeros(3), np.eye(3)
    for action in sequence:
        position = position + action[POSITION]
        orientation = matrix(action[ROTATION]) @ orientation  # in the base frame
    total = compose(sequence)
    np.testing.assert_allclose(total[POSITION], position, atol=1e-9)
    np.testing.assert_allclose(matrix(total[ROTATION]), orientation, atol=1e-9)
    assert total[GRIPPER] == sequence[-1, GRIPPER]


@given(actions, st.integers(1, 10))
def test_composing_a_split_action_gives_it_back(action, n):
    parts = split(action, n)
    assert parts.shape == (n, DIM)
    np.testing.assert_allclose(compose(parts), action, atol=1e-6)
    assert (parts == parts[0]).all()


@given(sequences, sequences)
def test_composition_is_associative(first, second):
    at_once = compose(np.concatenate([first, second]))
    in_two = compose(np.stack([compose(first), compose(second)]))
    np.testing.assert_allclose(in_two, at_once, atol=1e-6)


@given(st.lists(sequences.filter(lambda s: len(s) == 3), min_size=1, max_size=3), st.integers(1, 4))
def test_many_windows_at_once_give_what_each_alone_gives(windows, n):
    together = compose(np.stack(windows))
    for window, total in zip(windows, together, strict=True):
        np.testing.assert_allclose(compose(window), total, atol=1e-12)
    for total, parts in zip(together, split(together, n), strict=True):
        np.testing.assert_allclose(split(total, n), parts, atol=1e-12)


def test_turns_are_in_the_base_frame_not_in_the_hand_s():
    quarter = np.pi / 2
    turns = np.zeros((2, DIM))
    turns[0, ROTATION] = [quarter, 0, 0]
    turns[1, ROTATION] = [0, 0, quarter]
    # About x first: y goes to z, which the turn about the base's z leaves alone.
    pointed = matrix(compose(turns)[ROTATION]) @ [0, 1, 0]
    np.testing.assert_allclose(pointed, [0, 0, 1], atol=1e-9)


def test_composing_does_not_change_its_argument():
    sequence = np.full((3, DIM), 0.1)
    compose(sequence)
    split(sequence[0], 2)
    assert (sequence == 0.1).all()


@given(vectors(1.5))
def test_a_rotation_vector_survives_the_way_through_its_quaternion(vector):
    np.testing.assert_allclose(to_rotation_vector(to_quaternion(vector)), vector, atol=1e-9)


@given(vectors(1.5), vectors(1.5))
def test_quaternions_mean_what_they_mean_in_transforms3d(first, second):
    a, b = to_quaternion(first), to_quaternion(second)
    np.testing.assert_allclose(quat2mat(a), matrix(first), atol=1e-9)
    np.testing.assert_allclose(multiply(a, b), qmult(a, b), atol=1e-9)
    vector = to_rotation_vector(mat2quat(matrix(first) @ matrix(second)))
    np.testing.assert_allclose(matrix(vector), matrix(first) @ matrix(second), atol=1e-6)


@pytest.mark.parametrize("angle", [0.0, *10.0 ** np.arange(-12, 1), 3.0, np.pi - 1e-6])
def test_the_tiniest_and_the_largest_turns_keep_their_axis(angle):
    vector = angle * np.array([2.0, -1.0, 2.0]) / 3
    np.testing.assert_allclose(to_rotation_vector(to_quaternion(vector)), vector, atol=1e-12)


def test_a_turn_beyond_half_a_turn_comes_back_the_shorter_way():
    vector = np.array([0.0, 0.0, 1.5 * np.pi])
    shorter = to_rotation_vector(to_quaternion(vector))
    np.testing.assert_allclose(shorter, [0, 0, -0.5 * np.pi], atol=1e-12)


def test_a_quaternion_of_either_sign_gives_the_shorter_way():
    quaternion = to_quaternion(np.array([0.0, 0.0, 1.0]))
    np.testing.assert_allclose(to_rotation_vector(-quaternion), [0, 0, 1], atol=1e-12)


def test_a_gripper_switch_is_seen_wherever_it_is_in_the_window():
    windows = np.zeros((4, 3, DIM))
    windows[1, 0, GRIPPER] = 1  # opens
    windows[2, 2, GRIPPER] = 1  # closes
    windows[3, 1, GRIPPER] = 0.05  # a command that trembles is no switch
    assert holds_gripper_switch(windows).tolist() == [False, True, True, False]
