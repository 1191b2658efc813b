"""Alarms before failures, in episodes written by hand."""

import numpy as np
import pytest

from whale_ros.evaluation.uncertainty.alarms import foretold_failures
from whale_ros.evaluation.uncertainty.trials import Trials


def trials(episodes):
    """Windows of (condition, failed, scores of windows that begin at 0, 5, 10 ..)."""
    rows = [
        (condition, number, 5 * i, failed, score)
        for number, (condition, failed, scores) in enumerate(episodes)
        for i, score in enumerate(scores)
    ]
    condition, episode, start, failed, score = map(np.array, zip(*rows, strict=True))
    names = np.full(len(rows), "x")
    made = Trials(
        condition, np.zeros(len(rows)), names, names, episode, start, failed, errors={}, scores={}
    )
    return made, score


CALM = [("nominal", False, [value, 0.0]) for value in range(1, 21)]


def test_lead_is_from_the_first_alarm_to_the_end_of_the_episode():
    failing = [("nominal", True, [0.0, 30.0, 0.0, 30.0]), ("shift", True, [19.0, 19.0])]
    found = foretold_failures(*trials(CALM + failing))
    assert found["threshold"] == 19  # one calm episode in twenty exceeds it
    assert found["alarmed"]["value"] == 0.5
    assert found["median_lead_s"] == pytest.approx(0.2 * (32 - 10))
    assert found["successes_alarmed"] == 0.05
    assert (found["failures"], found["successes"]) == (2, 20)


def test_an_episode_is_judged_by_its_worst_window():
    found = foretold_failures(*trials([*CALM, ("nominal", True, [0.0, 0.0, 25.0])]))
    assert found["auroc"]["value"] == found["true_alarms"]["value"] == 1


def test_what_could_not_be_judged_raises_an_alarm():
    found = foretold_failures(*trials([*CALM, ("nominal", True, [np.nan, 0.0])]))
    assert found["alarmed"]["value"] == 1
    assert found["median_lead_s"] == pytest.approx(0.2 * (32 - 5))


def test_successes_under_other_conditions_do_not_set_the_threshold():
    found = foretold_failures(*trials([*CALM, *[("shift", False, [50.0])] * 20]))
    assert found["threshold"] == 19
    assert found["successes_alarmed"] == pytest.approx(21 / 40)
    assert found["alarmed"]["value"] is found["median_lead_s"] is None


def test_without_calm_episodes_there_is_no_threshold_and_no_alarm():
    found = foretold_failures(*trials([("nominal", True, [1.0, 2.0])]))
    assert found["threshold"] is found["alarmed"]["value"] is found["successes_alarmed"] is None
