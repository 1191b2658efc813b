"""Conformal bounds hold as often as they promise; the adaptive ones stay in their range."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whale_ros.imagination.conformal import MAX_ALPHA, AdaptiveBound, bound, least_count, rank

alphas = st.integers(1, 999).map(lambda thousandth: thousandth / 1000)
scores = st.lists(st.floats(0, 10, width=16), min_size=1, max_size=60)


@given(st.integers(0, 5000), st.integers(1, 999))
def test_the_rank_is_exact(count, thousandths):
    exact = Fraction((count + 1) * (1000 - thousandths), 1000)
    found = rank(count, thousandths / 1000)
    assert exact <= found < exact + 1


def test_where_floating_point_would_be_one_off_the_rank_is_not():
    assert math.ceil((9 + 1) * (1 - 0.7)) == 4  # 3.0000000000000004
    assert rank(9, 0.7) == 3


@given(alphas)
def test_fewer_scores_than_the_least_bound_nothing_and_as_many_do(alpha):
    least = least_count(alpha)
    assert rank(least, alpha) <= least and rank(least - 1, alpha) > least - 1


@given(scores, alphas)
def test_coverage_of_an_exchangeable_score_is_what_was_promised(values, alpha):
    """Whichever of n + 1 scores is the new one: on average over them, the bound holds."""
    held = [score <= bound(values[:i] + values[i + 1 :], alpha) for i, score in enumerate(values)]
    assert Fraction(sum(held), len(held)) >= 1 - Fraction(str(alpha))


@given(st.integers(1, 60), alphas)
def test_the_bound_is_no_looser_than_it_must_be(count, alpha):
    values = [float(i) for i in range(count + 1)]  # no ties
    held = sum(
        score <= bound(values[:i] + values[i + 1 :], alpha) for i, score in enumerate(values)
    )
    if rank(count, alpha) <= count:
        assert held == rank(count, alpha)


def test_too_few_scores_bound_nothing():
    assert bound(range(8), 0.1) == math.inf
    assert bound(range(9), 0.1) == 8
    assert bound([], 0.5) == math.inf


def test_a_score_that_is_no_number_is_over_every_bound():
    assert bound([math.nan, 1.0, 2.0], 0.3) == math.inf
    assert bound([math.nan, 1.0, 2.0], 0.5) == 2.0


@pytest.mark.parametrize("alpha", [0.0, 1.0, -0.1, math.nan, math.inf])
def test_an_alpha_that_is_no_probability_is_refused(alpha):
    with pytest.raises(ValueError):
        bound([1.0], alpha)


STORED = np.random.default_rng(0).exponential(size=400)
ALPHA, GAMMA = 0.1, 0.02


def test_under_a_drift_the_adaptive_bound_errs_as_often_as_promised_and_the_fixed_one_does_not():
    rng = np.random.default_rng(1)
    adaptive, fixed = AdaptiveBound(STORED, ALPHA, GAMMA), bound(STORED, ALPHA)
    steps = 4000
    errors = np.zeros((steps, 2))
    for step in range(steps):
        score = rng.exponential() * (1 + step / steps)
        errors[step] = score > adaptive.value, score > fixed
        adaptive.update(score)
    # Their bound on the deviation, for alpha_t that stays in its range: its width / (gamma T).
    assert abs(errors[:, 0].mean() - ALPHA) <= float(MAX_ALPHA) / (GAMMA * steps) + 1e-9
    assert errors[:, 1].mean() > 1.5 * ALPHA


@given(st.lists(st.floats(0, 20) | st.just(math.nan), max_size=200))
def test_whatever_comes_alpha_stays_in_its_range_and_the_bound_below_the_largest_score(values):
    stored = STORED[:30]
    adaptive = AdaptiveBound(stored, ALPHA, 0.2)
    for value in values:
        adaptive.update(value)
        assert Fraction(1, 31) <= adaptive.alpha <= MAX_ALPHA
        assert np.median(stored) <= adaptive.value <= stored.max()


def test_scores_beyond_all_that_was_calibrated_are_never_learnt_to_be_normal():
    adaptive = AdaptiveBound(STORED, ALPHA, GAMMA)
    for _ in range(1000):
        adaptive.update(2 * STORED.max())
    assert adaptive.value == STORED.max()


def test_scores_without_end_are_no_bound_that_may_be_learnt():
    adaptive = AdaptiveBound([*STORED, math.inf, math.inf], ALPHA, GAMMA)
    for _ in range(1000):
        adaptive.update(math.inf)
    assert adaptive.value == STORED.max()


@pytest.mark.parametrize(
    ("count", "alpha", "gamma"), [(8, 0.1, 0.1), (100, 0.6, 0.1), (100, 0.1, 0.0)]
)
def test_what_cannot_adapt_is_refused(count, alpha, gamma):
    with pytest.raises(ValueError):
        AdaptiveBound(range(count), alpha, gamma)
