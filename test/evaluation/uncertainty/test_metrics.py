"""Weighted statistics against slow obvious ones of windows that are really repeated."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from whale_ros.evaluation.uncertainty.metrics import (
    COVERAGE,
    area,
    auroc,
    risk_coverage,
    spearman,
    threshold,
    true_alarms,
)

VALUE = st.integers(0, 6).map(float)  # few, so that many are equal
SCORE = VALUE | st.just(float("nan"))
WINDOW = st.tuples(SCORE, VALUE, st.booleans(), st.integers(0, 3))
WINDOWS = st.lists(WINDOW, min_size=1, max_size=30)


def columns(windows):
    score, error, bad, times = (np.array(column) for column in zip(*windows, strict=True))
    return score, error, bad.astype(bool), times.astype(float)


def repeated(times, *arrays):
    return [np.repeat(array, times.astype(int)) for array in arrays]


def trusted_less(one, other):
    """1, 0.5 or 0; what could not be judged is trusted least."""
    one, other = (np.inf if np.isnan(value) else value for value in (one, other))
    return 0.5 if one == other else float(one > other)


@given(WINDOWS)
def test_auroc_is_the_share_of_pairs_in_the_right_order(windows):
    score, _, bad, times = columns(windows)
    all_scores, all_bad = repeated(times, score, bad)
    pairs = [trusted_less(b, g) for b in all_scores[all_bad] for g in all_scores[~all_bad]]
    expected = np.mean(pairs) if pairs else np.nan
    np.testing.assert_allclose(auroc(score, bad, times), expected)


@given(WINDOWS)
def test_true_alarms_are_those_of_the_best_threshold_with_few_enough_false_ones(windows):
    score, _, bad, times = columns(windows)
    all_scores, all_bad = repeated(times, np.where(np.isnan(score), np.inf, score), bad)
    best = np.nan
    if all_bad.any() and not all_bad.all():
        best = max(
            np.mean(all_scores[all_bad] > limit)
            for limit in [-1.0, *all_scores]
            if np.mean(all_scores[~all_bad] > limit) <= 0.05
        )
    np.testing.assert_allclose(true_alarms(score, bad, times), best)


def test_five_false_alarms_in_a_hundred_are_few_enough_and_six_are_not():
    score = np.arange(101.0)
    bad = score == 95
    assert true_alarms(score, bad, np.ones(101)) == 1  # 96 .. 100 are false alarms
    bad = score == 94
    assert true_alarms(score, bad, np.ones(101)) == 0


@pytest.mark.filterwarnings("ignore:An input array is constant")
@given(WINDOWS)
def test_spearman_is_that_of_scipy(windows):
    score, error, _, times = columns(windows)
    all_scores, all_errors = repeated(times, np.where(np.isnan(score), 99, score), error)
    expected = spearmanr(all_scores, all_errors).statistic if len(all_scores) > 1 else np.nan
    np.testing.assert_allclose(spearman(score, error, times), expected, atol=1e-12)


@given(WINDOWS)
def test_risk_is_the_mean_error_of_the_most_trusted_share(windows):
    score, error, _, times = columns(windows)
    all_scores, all_errors = repeated(times, np.where(np.isnan(score), np.inf, score), error)
    if not len(all_scores):
        assert np.isnan(risk_coverage(score, error, times)).all()
        return
    order = np.argsort(all_scores)
    alike = [all_errors[all_scores == value].mean() for value in all_scores[order]]
    total = np.concatenate([[0], np.cumsum(alike)])
    covered = COVERAGE * len(alike)
    expected = np.interp(covered, np.arange(len(total)), total) / covered
    np.testing.assert_allclose(risk_coverage(score, error, times), expected, atol=1e-12)


@given(WINDOWS)
def test_no_score_has_a_smaller_area_than_the_error_itself(windows):
    score, error, _, _ = columns(windows)
    once = np.ones(len(score))
    assert area(error, error, once) <= area(score, error, once) + 1e-12


@given(st.lists(WINDOWS.map(lambda w: (w * 30)[:30]), min_size=1, max_size=4))
def test_many_resamples_at_once_are_as_many_one_by_one(several):
    score, error, bad, _ = columns(several[0])
    times = np.stack([columns(windows)[3] for windows in several])
    for metric, truth in ((auroc, bad), (true_alarms, bad), (spearman, error), (area, error)):
        one_by_one = [metric(score, truth, row) for row in times]
        np.testing.assert_allclose(metric(score, truth, times), one_by_one, atol=1e-12)


@given(st.lists(SCORE, min_size=1, max_size=60))
def test_the_threshold_is_the_least_that_one_in_twenty_exceeds(scores):
    values = np.where(np.isnan(scores), np.inf, scores)
    found = threshold(np.array(scores))
    allowed = [value for value in values if np.mean(values > value) <= 0.05]
    assert found == min(allowed)


def test_without_windows_there_is_no_threshold():
    assert np.isnan(threshold(np.array([])))
