"""A calibration is read back as it was written, and holds for what it was measured with only."""

import json
import math
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from whale_ros.imagination.calibration import CALIBRATION as FILE
from whale_ros.imagination.calibration import (
    MEASURE,
    MIN_TASK_EPISODES,
    Calibration,
    CalibrationError,
    Conditions,
    RunningFactor,
    load_calibration,
    save_calibration,
    why_void,
)
from whale_ros.imagination.conformal import bound
from whale_ros.world_model.checkpoint import Scales

ROOT = Path(__file__).parents[2]
CONDITIONS = Conditions("a" * 64, "camera", 128, 96, 64, (1, 2, 3, 4), 8, 8, "base_twist/7", "m")


SCALES = Scales(0.6, 0.5, 0.01)


def some(**counts: int) -> dict[str, tuple[float, ...]]:
    rng = np.random.default_rng(0)
    return {task: tuple(sorted(rng.uniform(0.5, 2, count))) for task, count in counts.items()}


CALIBRATION = Calibration(CONDITIONS, 0.1, some(reach=40, push=29), 6.4, "b" * 64, SCALES)


@pytest.fixture
def path(tmp_path):
    save_calibration(tmp_path / "calibration.json", CALIBRATION)
    return tmp_path / "calibration.json"


def change(path, **entries):
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def test_what_was_written_is_read_back(path):
    assert load_calibration(path) == CALIBRATION
    assert [p.name for p in path.parent.iterdir()] == [path.name], "no half-written file is left"


def test_a_score_that_is_infinite_survives(path):
    scores = {"reach": (*CALIBRATION.scores["reach"], math.inf)}
    save_calibration(path, replace(CALIBRATION, scores=scores))
    assert load_calibration(path).scores == scores


def test_a_task_has_its_own_factor_where_it_has_enough_episodes():
    reach, push = CALIBRATION.scores["reach"], CALIBRATION.scores["push"]
    assert CALIBRATION.factor() == bound([*reach, *push], 0.1)
    assert CALIBRATION.factor("reach") == bound(reach, 0.1) != CALIBRATION.factor()
    assert len(push) < MIN_TASK_EPISODES and CALIBRATION.factor("push") == CALIBRATION.factor()
    strict = replace(CALIBRATION, alpha=0.02)  # 40 episodes cannot tell that
    assert strict.factor("reach") == strict.factor()
    with pytest.raises(CalibrationError, match="'swim' was not calibrated.*push, reach"):
        CALIBRATION.factor("swim")


def test_too_few_episodes_bound_nothing():
    assert replace(CALIBRATION, scores=some(reach=8)).factor() == math.inf


@given(st.integers(9, 80), st.integers(0, 2**32))
def test_the_pooled_factor_keeps_its_promise_on_the_scores_themselves(count, seed):
    scores = tuple(sorted(np.random.default_rng(seed).exponential(size=count).tolist()))
    factor = replace(CALIBRATION, scores={"reach": scores}).factor()
    assert np.mean(np.array(scores) <= factor) >= 0.9


@pytest.mark.parametrize("name", [field.name for field in fields(Conditions)])
def test_any_change_voids_it_and_is_named(name):
    assert why_void(CALIBRATION, CONDITIONS) == ""
    old = getattr(CONDITIONS, name)
    new = {str: "other", int: 9, tuple: (1, 2)}[type(old)]
    why = why_void(CALIBRATION, replace(CONDITIONS, **{name: new}))
    assert why.startswith("calibration void: ") and "whale calibrate" in why
    assert repr(new) in why and (repr(old) in why or f"{old[:12]}..." in why)


def test_fewer_candidates_do_not_void_it():
    assert why_void(CALIBRATION, replace(CONDITIONS, candidates=7)) == ""


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ({"schema": 1}, "schema 1"),
        ({"scales": {"unfamiliarity": 1.0}}, "live_uncertainty"),
        ({"colour": "red"}, "colour"),
        ({"alpha": 1.5}, "alpha"),
        ({"alpha": None}, "None"),
        ({"scores": {}}, "scores"),
        ({"scores": {"reach": [2.0, 1.0]}}, "sorted"),
        ({"scores": {"reach": [-1.0, 1.0]}}, "positive"),
        ({"scores": {"reach": ["x"]}}, "x"),
        ({"scores": [1.0]}, "items"),
        ({"factor": 100.0}, "factor 100.0 is not that of its scores"),
        ({"conditions": {"checkpoint": "a"}}, "'k'"),
        ({"conditions": {"k": [1], "fog": 1}}, "fog"),
        ({"episode_s": 0}, "0.0 s"),
        ({"episode_s": 10**400}, "OverflowError"),
        ({"scores": {"reach": [10**400]}}, "OverflowError"),
    ],
)
def test_what_is_not_sound_is_refused(path, entries, words):
    change(path, **entries)
    with pytest.raises(CalibrationError, match="whale calibrate") as error:
        load_calibration(path)
    assert words in str(error.value) and str(path) in str(error.value)


def test_what_is_cut_or_absent_is_refused(path):
    path.write_text(path.read_text()[:-20])
    with pytest.raises(CalibrationError, match="cannot be read"):
        load_calibration(path)
    for other in ("[]", "[" * 5000):
        path.write_text(other)
        with pytest.raises(CalibrationError, match="cannot be read"):
            load_calibration(path)
    path.unlink()
    with pytest.raises(CalibrationError, match="there is no calibration"):
        load_calibration(path)


def drive(factor, scores, executing=True, start_s=0.0):
    """An image every 0.1 s; returns when it ended."""
    factor.executing = executing
    for i, score in enumerate(scores):
        factor.see_image(start_s + 0.1 * i, score)
    return start_s + 0.1 * len(scores)


EPISODE = 65  # images, the first of which begins to count the time


def test_without_adapting_the_factor_stays():
    factor = RunningFactor(CALIBRATION, "reach", adaptive=False)
    drive(factor, [9.0] * 10 * EPISODE)
    assert factor.value == CALIBRATION.factor("reach")


def test_it_learns_once_in_an_episode_s_length_of_motion_from_the_worst_of_it():
    calm, alarmed = (RunningFactor(CALIBRATION, "", adaptive=True) for _ in range(2))
    for start in range(30):
        drive(calm, [0.1] * EPISODE, start_s=7 * start)
        drive(alarmed, [0.1] * 20 + [9.0] + [0.1] * (EPISODE - 21), start_s=7 * start)
    assert calm.value < CALIBRATION.factor() < alarmed.value <= CALIBRATION.pooled[-1]


@pytest.mark.parametrize("impossible", [0.0, -1.0, math.nan])
def test_what_a_broken_model_says_counts_as_maximal(impossible):
    broken, alarmed = (RunningFactor(CALIBRATION, "", adaptive=True) for _ in range(2))
    for start in range(30):
        drive(broken, [0.1] * 20 + [impossible] + [0.1] * (EPISODE - 21), start_s=7 * start)
        drive(alarmed, [0.1] * 20 + [9.0] + [0.1] * (EPISODE - 21), start_s=7 * start)
    assert broken.value == alarmed.value


def test_the_surest_candidate_of_a_planner_counts_too():
    seen, chosen = (RunningFactor(CALIBRATION, "", adaptive=True) for _ in range(2))
    for start in range(30):
        drive(seen, [0.1] * 20 + [9.0] + [0.1] * (EPISODE - 21), start_s=7 * start)
        drive(chosen, [0.1] * 20, start_s=7 * start)
        chosen.see_surest(9.0)
        drive(chosen, [0.1] * (EPISODE - 20), start_s=7 * start + 2.0)
    assert chosen.value == seen.value


def test_it_is_frozen_while_the_gate_does_not_execute():
    frozen, fresh = (RunningFactor(CALIBRATION, "", adaptive=True) for _ in range(2))
    end = drive(frozen, [9.0] * 10 * EPISODE, executing=False)
    frozen.see_surest(9.0)
    assert frozen.value == CALIBRATION.factor()
    for factor, start in ((frozen, end), (fresh, 0.0)):
        for i in range(30):
            drive(factor, [0.1] * EPISODE, start_s=start + 7 * i)
    assert frozen.value == fresh.value, "what it saw meanwhile left no trace"


def test_what_bounds_nothing_is_not_run_with():
    unjudged = {"reach": (*[1.0] * 20, *[math.inf] * 20)}
    for scores, why in ((some(reach=8), "^[^,]*8 episodes bound"), (unjudged, "as 20 of them")):
        few = replace(CALIBRATION, scores=scores)
        with pytest.raises(CalibrationError, match=f"{why}.*at least 9 .* with more"):
            RunningFactor(few, "", adaptive=True)
        assert few.why_unbounded()
    assert replace(CALIBRATION, scores=some(reach=9)).why_unbounded() == ""
    with pytest.raises(CalibrationError, match="'swim'"):
        RunningFactor(CALIBRATION, "swim", adaptive=False)


def test_the_shipped_calibration_is_for_what_is_launched_in_simulation():
    from whale_ros.imagination.live import MAX_HORIZON
    from whale_ros.imagination.retracing import K
    from whale_ros.world_model.checkpoint import SHIPPED, read_card

    def parameters(name):
        return yaml.safe_load((ROOT / "config" / name).read_text())["/**"]["ros__parameters"]

    robot, planner = parameters("robots/sim.yaml"), parameters("planner.yaml")
    card, calibration = read_card(SHIPPED), load_calibration(SHIPPED / FILE)
    running = Conditions(
        card.sha256,
        "camera",
        robot["image_width"],
        robot["image_height"],
        card.config.tokenizer.resolution,
        K,
        planner["candidates"],
        planner["horizon"],
        card.action_space.signature,
        MEASURE,
    )
    assert why_void(calibration, running) == ""
    assert planner["horizon"] == MAX_HORIZON
    assert math.isfinite(calibration.factor())


def test_planner_and_gate_know_the_largest_uncertainty_that_there_can_be():
    import torch

    from whale_ros.gate.confidence import MAX_UNCERTAINTY
    from whale_ros.imagination.retracing import combine

    largest = combine(torch.full((1, 8), 2.0), torch.ones(1, 8))
    assert float(largest.max()) == MAX_UNCERTAINTY
