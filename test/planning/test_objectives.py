"""Costs are weighted sums, and the end of a candidate is where the arm would come to."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whale_ros.planning.objectives import Weights, ends

K = 3
distances = st.lists(st.floats(0, 2), min_size=K, max_size=K).map(np.array)
weights = st.floats(0, 10)


@given(*[st.none() | distances] * 3, distances, *[weights] * 4)
def test_a_cost_is_the_weighted_sum_of_what_there_is(image, pose, left, uncertainty, a, b, c, d):
    cost = Weights(a, b, c, d).cost(image, pose, uncertainty, left)
    expected = c * uncertainty + (0 if left is None else d * left)
    expected = expected + (0 if image is None else a * image) + (0 if pose is None else b * pose)
    np.testing.assert_allclose(cost, expected, atol=1e-12)


def test_an_impossible_uncertainty_spoils_no_cost_that_it_has_no_weight_in():
    cost = Weights().cost(np.ones(K), None, np.full(K, np.nan))
    np.testing.assert_array_equal(cost, np.ones(K))


@pytest.mark.parametrize(("passed", "way"), [(0, 0.10), (2, 0.07), (2.5, 0.055), (9, 0.0)])
def test_only_the_actions_that_are_left_lead_further(passed, way):
    candidate = np.zeros((1, 4, 7))
    candidate[0, :, 0] = [0.01, 0.02, 0.03, 0.04]
    np.testing.assert_allclose(ends(candidate, passed, np.array([0, 0.5, 0.2])), [[way, 0.5, 0.2]])
