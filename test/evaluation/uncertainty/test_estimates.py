"""Means over tasks, and how far they would vary with other episodes."""

import numpy as np
import pytest

from whale_ros.evaluation.uncertainty.estimates import estimate
from whale_ros.evaluation.uncertainty.metrics import auroc


def mean(values, weights):
    return (weights * values).sum(-1) / weights.sum(-1)


def test_each_task_counts_as_much_however_many_windows_it_has(made_up_trials):
    few = made_up_trials.select(
        np.flatnonzero((made_up_trials.task == "push-v3") | (made_up_trials.start == 0))
    )
    values = (few.task == "push-v3") * 3.0
    found = estimate(mean, (values,), few)
    assert found["value"] == found["from"] == found["to"] == 1
    assert found["of_each_task"] == {"push-v3": 3, "reach-v3": 0, "window-open-v3": 0}
    pooled = estimate(mean, (values,), few, pooled=True)
    assert pooled["value"] == pytest.approx(3 * 72 / 120)


def test_a_score_that_only_tells_tasks_apart_tells_nothing(made_up_trials):
    is_push = made_up_trials.task == "push-v3"
    bad = np.random.default_rng(0).random(len(is_push)) < np.where(is_push, 0.9, 0.1)
    score = is_push.astype(float)
    assert estimate(auroc, (score, bad), made_up_trials)["value"] == 0.5
    assert estimate(auroc, (score, bad), made_up_trials, pooled=True)["value"] > 0.8


def test_a_task_with_nothing_to_tell_apart_is_left_out(made_up_trials):
    is_push = made_up_trials.task == "push-v3"
    score = made_up_trials.scores["retracing"][:, 7]
    bad = (score > np.median(score)) & ~is_push
    found = estimate(auroc, (score, bad), made_up_trials)
    assert found["of_each_task"] == {"push-v3": None, "reach-v3": 1, "window-open-v3": 1}
    assert found["value"] == found["from"] == 1
    nowhere = estimate(auroc, (score, bad & False), made_up_trials)
    assert (nowhere["value"], nowhere["from"], nowhere["to"]) == (None, None, None)


def test_windows_of_an_episode_are_no_evidence_of_their_own(made_up_trials):
    """Seen twice, they leave the interval as it is; twice as many episodes would narrow it."""
    values = made_up_trials.errors["features"][:, 7]
    twice = np.tile(np.arange(len(values)), 2)
    once = estimate(mean, (values,), made_up_trials)
    same = made_up_trials.select(twice)
    assert estimate(mean, (values[twice],), same) == once
    same.episode = same.episode + 1000 * (np.arange(len(twice)) >= len(values))
    more = estimate(mean, (values[twice],), same)
    assert more["to"] - more["from"] < 0.85 * (once["to"] - once["from"])


def test_the_interval_is_left_out_on_demand_only(made_up_trials):
    values = made_up_trials.errors["features"][:, 7]
    sure = estimate(mean, (values,), made_up_trials)
    unsure = estimate(mean, (values,), made_up_trials, sure=False)
    assert sure["from"] < sure["value"] < sure["to"]
    assert unsure == sure | {"from": None, "to": None}
