"""Conditions beside the nominal one."""

import numpy as np

from whale_ros.evaluation.uncertainty.conditions import of_each_condition

BOUNDS = {"features": 0.3}


def rows_of(trials):
    rows = of_each_condition(trials, 8, BOUNDS, "features")
    return {row["condition"]: row for row in rows}


def test_a_condition_that_raises_the_score_is_detected_and_nominal_is_not(made_up_trials):
    score = made_up_trials.scores["retracing"]
    score[made_up_trials.condition == "shift"] += 100
    rows = rows_of(made_up_trials)
    shift, nominal = (rows[name]["scores"]["retracing"] for name in ("shift", "nominal"))
    assert shift["auroc_against_nominal"] == shift["above_nominal_95"] == 1
    assert nominal["auroc_against_nominal"] == 0.5
    assert 0 < nominal["above_nominal_95"] <= 0.05
    assert shift["median"] > 100


def test_a_task_without_nominal_windows_is_compared_with_all_others(made_up_trials):
    new = made_up_trials.condition == "frozen"
    made_up_trials.task[new] = "door-open"
    made_up_trials.scores["retracing"][new] += 100
    assert rows_of(made_up_trials)["frozen"]["scores"]["retracing"]["above_nominal_95"] == 1


def test_rows_count_windows_episodes_failures_and_bad_predictions(made_up_trials):
    error = made_up_trials.errors["features"][made_up_trials.condition == "shift", 7]
    row = rows_of(made_up_trials)["shift"]
    assert (row["severity"], row["windows"], row["episodes"], row["failed"]) == (0.06, 72, 24, 0.25)
    assert row["bad"]["features"] == round(float(np.mean(error > 0.3)), 4)
    assert row["median_error"]["features"] == round(float(np.median(error)), 4)
    assert row["median_error"]["pixels"] is not None


def test_within_a_condition_a_score_of_nothing_but_the_condition_tells_nothing(made_up_trials):
    frozen = made_up_trials.condition == "frozen"
    made_up_trials.scores["ensemble"] = np.tile(frozen[:, None] * 1.0, 8)
    found = rows_of(made_up_trials)["frozen"]["scores"]["ensemble"]
    assert found["auroc_against_nominal"] == 1
    assert (found["auroc"], found["spearman"]) == (0.5, None)
