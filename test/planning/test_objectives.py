"""Costs are weighted sums, and the end of a candidate is where the arm would come to."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whale_ros.actions.composition import multiply, to_quaternion
from whale_ros.planning.objectives import Weights, ends, turns_left

K = 3
distances = st.lists(st.floats(0, 2), min_size=K, max_size=K).map(np.array)
weights = st.floats(0, 10)


@given(*[st.none() | distances] * 4, distances, st.lists(weights, min_size=5, max_size=5))
def test_a_cost_is_the_weighted_sum_of_what_there_is(image, pose, turn, left, uncertainty, each):
    cost = Weights(*each).cost(image, pose, turn, uncertainty, left)
    parts = zip(each, (image, pose, turn, uncertainty, left), strict=True)
    expected = sum((weight * part for weight, part in parts if part is not None), np.zeros(K))
    np.testing.assert_allclose(cost, expected, atol=1e-12)


def test_an_impossible_uncertainty_spoils_no_cost_that_it_has_no_weight_in():
    cost = Weights().cost(np.ones(K), None, None, np.full(K, np.nan))
    np.testing.assert_array_equal(cost, np.ones(K))


@pytest.mark.parametrize(("passed", "way"), [(0, 0.10), (2, 0.07), (2.5, 0.055), (9, 0.0)])
def test_only_the_actions_that_are_left_lead_further(passed, way):
    candidate = np.zeros((1, 4, 7))
    candidate[0, :, 0] = [0.01, 0.02, 0.03, 0.04]
    np.testing.assert_allclose(ends(candidate, passed, np.array([0, 0.5, 0.2])), [[way, 0.5, 0.2]])


turn = st.lists(st.floats(-0.5, 0.5), min_size=3, max_size=3).map(np.array)


@given(turn, turn, turn, turn)
def test_the_angle_that_is_left_is_that_of_the_orientations_between(begin, first, second, rest):
    """`rest` is what a candidate of two turns, one after the other, leaves to the goal."""
    candidate = np.zeros((1, 2, 7))
    candidate[0, :, 3:6] = first, second
    orientation, goal = to_quaternion(begin), to_quaternion(begin)
    for vector in (first, second, rest):
        goal = multiply(to_quaternion(vector), goal)
    found = turns_left(candidate, 0, orientation, goal)
    np.testing.assert_allclose(found, [np.linalg.norm(rest)], atol=1e-6)
    done = multiply(to_quaternion(first), orientation)
    np.testing.assert_allclose(turns_left(candidate, 1, done, goal), found, atol=1e-6)
    np.testing.assert_allclose(turns_left(candidate, 1, done, -goal), found, atol=1e-6)
