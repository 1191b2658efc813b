"""Composing and splitting actions lose nothing: the arm ends where it would have ended."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transforms3d.axangles import axangle2mat
from transforms3d.quaternions import mat2quat, qmult, quat2mat

from whale_ros.actions.composition import (
    COMPOSITIONS,
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


@pytest.mark.parametrize("type", COMPOSITIONS)
@given(sequences, actions, st.integers(1, 10))
def test_composing_a_split_action_gives_it_back(type, sequence, before, n):
    since = before if type == "absolute_pose" else None
    total = compose(sequence, type)
    parts = split(total, n, type, since)
    assert parts.shape == (n, DIM)
    np.testing.assert_allclose(compose(parts, type), total, atol=1e-6)
    assert (parts[:, GRIPPER] == total[GRIPPER]).all()
    if since is None:
        assert (parts == parts[0]).all()


@pytest.mark.parametrize("type", COMPOSITIONS)
@given(sequences)
def test_the_last_gripper_command_is_kept(type, sequence):
    assert compose(sequence, type)[GRIPPER] == sequence[-1, GRIPPER]


@pytest.mark.parametrize("type", [t for t in COMPOSITIONS if t != "absolute_pose"])
@given(sequences)
def test_as_many_steps_as_were_composed_are_no_longer_than_those_were(type, sequence):
    """So a retracing-action is never outside of what a model was trained on."""
    total = compose(sequence, type)
    step = split(total, len(sequence), type)[0]
    for part in (POSITION, ROTATION):
        longest = np.linalg.norm(sequence[:, part], axis=1).max()
        if type == "body_twist" and part == POSITION:  # goes along an arc, not its chord
            longest /= np.sinc(np.linalg.norm(total[ROTATION]) / (2 * np.pi))
        assert np.linalg.norm(step[part]) <= longest + 1e-9


@pytest.mark.parametrize("type", [t for t in COMPOSITIONS if t != "absolute_pose"])
@given(actions, st.integers(1, 5))
def test_equal_actions_are_split_into_themselves(type, action, n):
    repeated = np.repeat(action[None], n, axis=0)
    np.testing.assert_allclose(split(compose(repeated, type), n, type), repeated, atol=1e-6)


@pytest.mark.parametrize("type", COMPOSITIONS)
@given(sequences, sequences)
def test_composition_is_associative(type, first, second):
    at_once = compose(np.concatenate([first, second]), type)
    in_two = compose(np.stack([compose(first, type), compose(second, type)]), type)
    np.testing.assert_allclose(in_two, at_once, atol=1e-6)


def pose_matrix(twist: np.ndarray) -> np.ndarray:
    """The pose (4, 4) at the end of a twist (6,), by the exponential series of its matrix."""
    (x, y, z), generator = twist[ROTATION], np.zeros((4, 4))
    generator[:3] = [[0, -z, y, twist[0]], [z, 0, -x, twist[1]], [-y, x, 0, twist[2]]]
    total = term = np.eye(4)
    for i in range(1, 40):
        term = term @ generator / i
        total = total + term
    return total


@given(sequences)
def test_body_twists_compose_as_poses_multiply(sequence):
    expected = np.eye(4)
    for action in sequence:
        expected = expected @ pose_matrix(action)
    np.testing.assert_allclose(pose_matrix(compose(sequence, "body_twist")), expected, atol=1e-9)


@pytest.mark.parametrize("angle", [0.0, *10.0 ** np.arange(-12, 1), 3.0, np.pi - 1e-6])
def test_the_tiniest_and_the_largest_body_twists_are_what_they_compose_to(angle):
    twist = np.array([0.3, -0.2, 0.1, *(angle * np.array([2.0, -1.0, 2.0]) / 3), 1.0])
    np.testing.assert_allclose(compose(twist[None], "body_twist"), twist, atol=1e-9)
    np.testing.assert_allclose(compose(split(twist, 5, "body_twist"), "body_twist"), twist, 1e-6)


def test_a_hand_that_turns_while_it_goes_ahead_goes_in_a_circle():
    quarter = np.zeros((2, DIM))
    quarter[:, 0], quarter[:, 5] = np.pi / 4, np.pi / 4  # two eighths of a circle of radius 1
    np.testing.assert_allclose(pose_matrix(compose(quarter, "body_twist"))[:2, 3], [1, 1])
    np.testing.assert_allclose(compose(quarter)[:2], [np.pi / 2, 0])


@given(st.lists(vectors(np.pi), min_size=2, max_size=6), vectors(0.25))
def test_differences_of_euler_coordinates_lead_from_the_first_to_the_last(moves, turn):
    """However often an angle jumps by 360 degrees on the way."""
    angles = np.cumsum([turn, *(np.array(moves) / 8)], axis=0)
    wrapped = (angles + np.pi) % (2 * np.pi) - np.pi
    differences = np.zeros((len(moves), DIM))
    differences[:, POSITION] = moves
    differences[:, ROTATION] = np.diff(wrapped, axis=0)
    total = compose(differences, "euler_coordinate_difference")
    np.testing.assert_allclose(total[POSITION], np.sum(moves, axis=0), atol=1e-9)
    np.testing.assert_allclose(total[ROTATION], angles[-1] - angles[0], atol=1e-9)


@given(actions, actions, st.integers(1, 6))
def test_a_target_is_approached_straight_and_evenly(since, target, n):
    parts = split(target, n, "absolute_pose", since)
    np.testing.assert_allclose(parts[-1, POSITION], target[POSITION], atol=1e-9)
    before = np.concatenate([since[None], parts[:-1]])
    moves = parts[:, POSITION] - before[:, POSITION]
    np.testing.assert_allclose(moves, np.broadcast_to(moves[0], moves.shape), atol=1e-9)
    turns = [
        matrix(one[ROTATION]) @ matrix(other[ROTATION]).T
        for one, other in zip(parts, before, strict=True)
    ]
    np.testing.assert_allclose(turns, [turns[0]] * n, atol=1e-9)
    assert (parts[:, GRIPPER] == target[GRIPPER]).all()


def test_an_unknown_type_and_a_beginning_in_the_wrong_place_are_refused_by_name():
    action = np.zeros(DIM)
    for refused in (lambda: compose(action[None], "joints"), lambda: split(action, 2, "joints")):
        with pytest.raises(ValueError, match="'joints'; known: base_twist"):
            refused()
    with pytest.raises(ValueError, match="'absolute_pose', None"):
        split(action, 2, "absolute_pose")
    with pytest.raises(ValueError, match="'base_twist'"):
        split(action, 2, "base_twist", action)


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
