"""Composing and splitting actions lose nothing: the arm ends where it would have ended."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from whale_ros.actions.composition import compose, rotation_matrix, rotation_vector, split
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


def test_rotations_apply_in_order_in_the_base_frame():
    quarter = np.pi / 2
    turns = np.zeros((2, DIM))
    turns[0, ROTATION] = [quarter, 0, 0]
    turns[1, ROTATION] = [0, 0, quarter]
    # x first: y goes to z, which the turn about z leaves alone.
    pointed = rotation_matrix(compose(turns)[ROTATION]) @ [0, 1, 0]
    np.testing.assert_allclose(pointed, [0, 0, 1], atol=1e-9)


@given(vectors(1.5))
def test_a_rotation_vector_survives_the_way_through_its_matrix(vector):
    np.testing.assert_allclose(
        rotation_vector(rotation_matrix(np.array(vector))), vector, atol=1e-6
    )
