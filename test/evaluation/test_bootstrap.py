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


def test_a_statistic_that_is_the_same_in_all_episodes_is_certain():
    assert interval(mean_of(torch.full((9,), 3.0)), 9) == (3.0, 3.0, 3.0)
