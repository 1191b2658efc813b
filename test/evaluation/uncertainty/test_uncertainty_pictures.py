"""Pictures are drawn, and show what they should."""

import dataclasses

import cv2
import numpy as np
import pytest

from whale_ros.evaluation.uncertainty.pictures import (
    RED,
    Story,
    draw_conditions,
    draw_reliability,
    draw_risk_coverage,
    draw_stories,
)
from whale_ros.evaluation.uncertainty.summary import summarise


def count(path, colour):
    """Pixels of a colour like "#d55e00"."""
    rgb = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    picture = cv2.imread(str(path))
    assert picture is not None
    return int((np.abs(picture[..., ::-1].astype(int) - rgb) <= 2).all(-1).sum())


@pytest.fixture
def story():
    """Calm: no window comes near the threshold."""
    times = np.arange(10) * 0.2
    frames = np.zeros((10, 16, 16, 3), np.uint8)
    return Story("reach-v3", times, np.full(10, 0.5), 1.0, np.full(10, 0.2), frames)


def test_alarms_are_marked_and_calm_is_not(story, tmp_path):
    draw_stories([story], tmp_path / "calm.png")
    loud = dataclasses.replace(story, score=np.linspace(0.5, 2, 10))
    draw_stories([loud], tmp_path / "loud.png")
    # The legend shows one mark in any case.
    assert count(tmp_path / "loud.png", RED) > 3 * count(tmp_path / "calm.png", RED) > 0


def test_a_window_that_could_not_be_judged_is_an_alarm_that_shows(story, tmp_path):
    draw_stories([story], tmp_path / "calm.png")
    blind = dataclasses.replace(story, score=np.full(10, np.nan), error=np.full(10, np.nan))
    draw_stories([blind], tmp_path / "blind.png")
    assert count(tmp_path / "blind.png", RED) > 3 * count(tmp_path / "calm.png", RED)


def test_every_frame_strip_is_of_its_episode(story, tmp_path):
    green = dataclasses.replace(story, frames=np.full((10, 16, 16, 3), (0, 255, 0), np.uint8))
    draw_stories([story, green], tmp_path / "both.png")
    picture = cv2.imread(str(tmp_path / "both.png"))
    is_green = (picture == (0, 255, 0)).all(-1)
    half = len(picture) // 2
    assert is_green[half:].sum() > 10_000
    assert is_green[:half].sum() == 0


def test_every_condition_has_a_box(made_up_trials, tmp_path):
    draw_conditions(made_up_trials, "retracing", tmp_path / "all.png")
    nominal = made_up_trials.select(made_up_trials.condition == "nominal")
    draw_conditions(nominal, "retracing", tmp_path / "nominal.png")
    heights = [len(cv2.imread(str(tmp_path / name))) for name in ("all.png", "nominal.png")]
    assert heights[0] > heights[1]


def test_windows_that_could_not_be_judged_do_not_stop_the_pictures(made_up_trials, tmp_path):
    made_up_trials.scores["broken"] = np.full((len(made_up_trials), 8), np.nan)
    made_up_trials.scores["retracing"][::5] = np.nan
    bounds = {"features": 0.3}
    draw_reliability(made_up_trials, ["retracing", "broken"], bounds, tmp_path / "r.png")
    summary = summarise(made_up_trials, {}, "retracing", bounds)
    draw_risk_coverage(summary, tmp_path / "c.png")
    for name in ("r.png", "c.png"):
        assert cv2.imread(str(tmp_path / name)).std() > 10
