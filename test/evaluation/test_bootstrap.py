"""The bootstrap tells how far a statistic of episodes would vary in other samples of them."""

import numpy as np
import pytest
import torch

from whale_ros.evaluation.bootstrap import interval


def mean_of(values: torch.Tensor):
    return lambda times: times @ values / times.sum(-1)


def test_the_interval_of_a_mean_is_about_that_of_the_normal_distribution():
    values = torch.randn(400, generator=torch.Generator().manual_seed(0))
    value, low, high = interval(mean_of(values), len(values))
    error = float(values.std()) / len(values) ** 0.5
    assert value == pytest.approx(float(values.mean()), abs=1e-6)
    np.testing.assert_allclose([value - low, high - value], 1.96 * error, rtol=0.1)


def test_resamples_in_which_the_statistic_is_not_defined_do_not_count():
    values = torch.tensor([1.0, 2.0, 5.0])
    counts = torch.tensor([0.0, 3.0, 4.0])  # of the first episode there is nothing to count
    value, low, high = interval(lambda times: times @ (values * counts) / (times @ counts), 3)
    assert value == pytest.approx(26 / 7)
    assert (low, high) == (2, 5)


def test_a_statistic_that_is_nowhere_defined_has_no_interval():
    assert np.isnan(interval(lambda times: times.sum(-1) * torch.nan, 4)).all()


def test_a_statistic_that_is_the_same_in_all_episodes_is_certain():
    assert interval(mean_of(torch.full((9,), 3.0)), 9) == (3.0, 3.0, 3.0)
