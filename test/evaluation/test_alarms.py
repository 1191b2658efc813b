"""Which check of which condition raises an alarm is counted, by episodes."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from whale_ros.actions.space import ActionSpace
from whale_ros.evaluation.alarms import alarms, must_be_of, table
from whale_ros.evaluation.calibration import EpisodeScores
from whale_ros.imagination.calibration import MEASURE, Calibration, Conditions
from whale_ros.imagination.retracing import K
from whale_ros.world_model.checkpoint import Scales

SPACE = ActionSpace("base_twist", 0.2, 0.05, 0.1)
CONDITIONS = Conditions("sha", "camera", 128, 128, 64, K, 8, 8, SPACE.signature, MEASURE)
SCALES = Scales(live_uncertainty=0.5, candidate_uncertainty=0.25, unfamiliarity=0.01)
CALIBRATION = Calibration(CONDITIONS, 0.1, {"push": (2.0,) * 50}, 6.4, "d", SCALES)
CARD = SimpleNamespace(
    sha256="sha",
    config=SimpleNamespace(tokenizer=SimpleNamespace(resolution=64)),
    action_space=SPACE,
)


def scored() -> EpisodeScores:
    """Of four episodes: none, candidate, live twice, and two checks at once; the limit is 2."""
    short = -np.inf
    return EpisodeScores(
        candidate=np.array([[2.0, 1.0], [2.1, 0.1], [0.1, short], [math.inf, 0.1]]),
        live=np.array([[1.0, 1.0], [1.0, 1.0], [3.0, 3.0], [0.1, 0.1]]),
        unfamiliarity=np.array([[0.1, 2.0], [0.1, 0.1], [0.1, 0.1], [0.1, 2.5]]),
        executed=np.array([[2.0, 2.5], [1.0, 1.0], [1.0, short], [3.0, 3.0]]),
        error=np.array([[0.6, 0.6], [0.1, 0.7], [0.5, short], [0.9, 0.1]]),
        task=np.array(["push"] * 4),
        behavior=np.array(["expert"] * 4),
        failed=np.array([False] * 4),
        episode_s=6.4,
    )


def test_alarms_are_counted_by_episode_and_check():
    found = alarms(CALIBRATION, scored())
    assert found["episodes"] == 4
    assert found["with_alarm"]["share"] == 0.75
    assert found["with_alarm"]["from"] < 0.75 < found["with_alarm"]["to"]
    assert found["by_check"] == {"candidate": 0.5, "live": 0.25, "unfamiliarity": 0.25}
    wrong = found["passed_although_wrong"]
    assert (wrong["of"], wrong["bad"], wrong["passed"]) == (7, 4, 2)


def test_the_table_says_what_was_counted():
    report = {"conditions": {"shift": alarms(CALIBRATION, scored())}, "limits": {"live": 1.0}}
    titles, row, limits = table(report).splitlines()
    expected = ("shift", "4", "75%", "(19%..99%)", "50%", "25%", "25%", "4 of 7", "2")
    assert row.split() == " ".join(expected).split()
    assert titles.split()[-3:] == ["of", "them", "passed"] and limits == "limits: live 1"


@pytest.mark.parametrize(
    ("calibration", "why"),
    [
        (replace(CALIBRATION, conditions=replace(CONDITIONS, checkpoint="x")), "the checkpoint is"),
        (replace(CALIBRATION, conditions=replace(CONDITIONS, k=(1,))), "K of the retracings"),
        (replace(CALIBRATION, scores={"push": (1.0,)}), "1 episodes bound nothing"),
    ],
)
def test_a_calibration_that_does_not_count_is_refused(calibration, why):
    must_be_of(CARD, CALIBRATION)
    with pytest.raises(ValueError, match=why):
        must_be_of(CARD, calibration)
