"""Episodes are scored as a running planner and gate would judge them; counts are exact."""

import copy
import math
from dataclasses import astuple, replace

import numpy as np
import pytest
import torch
from scipy.stats import beta

from whale_ros.evaluation import calibration as module
from whale_ros.evaluation.calibration import EpisodeScores, realised, scales_of, score_episodes
from whale_ros.evaluation.scales import PICTURE_ROOM
from whale_ros.imagination.calibration import Calibration, Conditions
from whale_ros.imagination.live import HISTORY, MAX_HORIZON
from whale_ros.imagination.retracing import feature_distance, retrace
from whale_ros.imagination.rollout import imagine
from whale_ros.training.sequences import Sequences
from whale_ros.world_model.checkpoint import Scales
from whale_ros.world_model.frames import to_float

SCALES = Scales(live_uncertainty=0.5, candidate_uncertainty=2.0, unfamiliarity=4.0)


@pytest.fixture
def nominal(held_out, small_model):
    """Of which the first failed."""
    data = copy.copy(held_out)
    data.failed = torch.arange(len(held_out)) == 0
    return data


@torch.inference_mode()
def rollout_at(model, data, episode, time, actions):
    """Imagined one candidate at a time, with z held."""
    past = slice(time - HISTORY + 1, time)
    frames = to_float(data.frames[episode][past.start : time + 1])[None]
    before = data.actions[episode][None, past]
    codes = model.encode(frames)
    z = model.behavior.infer(codes, model.normalised(before))[:, -1]
    return imagine(model, model.start(codes, before, z), actions[None], before)


def test_an_episode_s_scores_are_what_it_came_to_in_units_of_the_scales(small_model, nominal):
    found = score_episodes(small_model, SCALES, nominal, candidates=1)
    steps = len(nominal.actions[0])
    decisions = range(HISTORY - 1, steps - MAX_HORIZON + 1, module.DECISION_EVERY)
    images = range(HISTORY - 1, steps, module.IMAGE_EVERY)
    for episode in range(len(nominal)):
        actions = nominal.actions[episode]
        for column, time in enumerate(decisions):
            taken = actions[time : time + MAX_HORIZON]
            rollout = rollout_at(small_model, nominal, episode, time, taken)
            uncertainty = float(retrace(small_model, rollout, (MAX_HORIZON - 1,)).uncertainty)
            # With one candidate, the executed actions are the surest.
            assert found.candidate[episode, column] == pytest.approx(uncertainty / 2, rel=1e-3)
            assert found.executed[episode, column] == found.candidate[episode, column]
            real = to_float(nominal.frames[episode][time + MAX_HORIZON])[None]
            features = small_model.features(small_model.encode(real))
            error = float(feature_distance(rollout.features[:, -1], features))
            assert found.error[episode, column] == pytest.approx(error, rel=1e-3)
        for column, time in enumerate(images):
            rollout = rollout_at(small_model, nominal, episode, time, actions[time : time + 1])
            uncertainty = float(retrace(small_model, rollout, (0,)).uncertainty)
            assert found.live[episode, column] == pytest.approx(uncertainty / 0.5, rel=1e-3)
            frame = to_float(nominal.frames[episode][time])[None]
            unfamiliarity = float(small_model.familiarity(frame)) / 4
            assert found.unfamiliarity[episode, column] == pytest.approx(unfamiliarity, rel=1e-3)
    every = np.concatenate([found.candidate, found.live, found.unfamiliarity], axis=1)
    np.testing.assert_array_equal(found.score, every.max(axis=1))
    assert found.failed.tolist() == [True, False, False, False]
    assert found.episode_s == pytest.approx(steps * 0.2)


def test_of_several_candidates_the_surest_counts(small_model, nominal):
    one, many = (score_episodes(small_model, SCALES, nominal, n) for n in (1, 4))
    np.testing.assert_allclose(one.executed, many.executed, rtol=1e-3)
    assert (many.candidate <= one.candidate * 1.001).all()
    assert (many.candidate < one.candidate * 0.999).any()
    again = score_episodes(small_model, SCALES, nominal, 4)
    np.testing.assert_array_equal(many.candidate, again.candidate)


def test_scales_are_what_nine_of_ten_episodes_stay_under():
    nothing = np.array(["push"] * 11), np.array(["slow"] * 11), np.array([False] * 11)
    worst = np.arange(11.0)[:, None]  # of eleven episodes
    scored = EpisodeScores(worst, 10 * worst, worst / 10, worst, worst, *nothing, 6.4)
    assert astuple(scales_of(scored)) == pytest.approx((90.0, 9.0, PICTURE_ROOM * 0.9))
    scored.live[10] = math.inf  # nobody could judge it
    assert scales_of(scored).live_uncertainty == pytest.approx(81.0)
    scored.live[:] = math.inf
    with pytest.raises(ValueError, match="no episode can be judged"):
        scales_of(scored)


def test_where_a_gripper_switch_forbids_retracing_for_long_nothing_would_be_trusted(
    small_model, nominal
):
    data = copy.copy(nominal)
    data.actions = Sequences([actions.clone() for actions in nominal.actions])
    data.actions[0][12:, 6] = torch.arange(len(data.actions[0]) - 12) % 2
    found = score_episodes(small_model, SCALES, data, candidates=1)
    assert found.score[0] == math.inf and np.isfinite(found.score[1:]).all()
    times = HISTORY - 1 + module.IMAGE_EVERY * np.arange(found.live.shape[1])
    # From 13 on the gripper switches; the image at 12 stands in for a second.
    assert np.isfinite(found.live[0]).tolist() == (times <= 17).tolist()


def test_only_nominal_behaviours_calibrate_and_are_covered(small_model, nominal):
    every = score_episodes(small_model, SCALES, nominal, candidates=1)
    noisy = every.behavior == "noisy"
    found = score_episodes(small_model, SCALES, nominal, 1, ["noisy"])
    assert 0 < len(found.score) == noisy.sum() < len(every.score)
    np.testing.assert_allclose(found.score, every.score[noisy], rtol=1e-5)
    conditions = Conditions("a", "camera", 128, 128, 64, (1,), 8, 8, "s", "m")
    scores = {str(task): (1.0,) * 50 for task in np.unique(every.task)}
    report = realised(Calibration(conditions, 0.1, scores, 36.0, "d", SCALES), every, ["noisy"])
    assert report["one_factor_for_all_tasks"]["all"]["episodes"] == noisy.sum()
    assert report["passed_although_wrong"]["predictions"]["of"] == every.error.size
    with pytest.raises(ValueError, match="no validation episodes of calm; there are"):
        score_episodes(small_model, SCALES, nominal, 1, ["calm"])


def test_episodes_of_different_lengths_are_scored_as_each_would_be_alone(
    small_model, write_held_out
):
    data = write_held_out((14, 27, 20))
    found = score_episodes(small_model, SCALES, data, candidates=2)
    assert found.candidate.shape == (3, 5) and found.live.shape == (3, 21)
    assert np.isfinite(found.candidate).sum(1).tolist() == [1, 5, 3]
    assert found.episode_s == pytest.approx((13 + 26 + 19) / 3 * 0.2)
    assert np.isfinite(found.score).all() and (found.score > 0).all()
    alone = copy.copy(data)
    alone.infos = data.infos[:1]
    for name in ("frames", "actions"):
        setattr(alone, name, Sequences(list(getattr(data, name))[:1]))
    alone.failed = data.failed[:1]
    np.testing.assert_allclose(
        score_episodes(small_model, SCALES, alone, 2).score, found.score[:1], rtol=1e-4
    )
    conditions = Conditions("a", "camera", 128, 128, 64, (1,), 8, 8, "s", "m")
    report = realised(Calibration(conditions, 0.1, found.by_task(), 36.0, "d", SCALES), found)
    assert report["passed_although_wrong"]["predictions"]["of"] == 9


def test_parts_of_a_demonstration_are_one_episode_with_the_scores_of_all(
    small_model, write_held_out
):
    data = write_held_out((14, 27, 20))
    apart = score_episodes(small_model, SCALES, data, candidates=2)
    files = ("demonstrations/000007.npz", "demonstrations/000007_1.npz", "train/x_000007_0.npz")
    cut = copy.copy(data)
    cut.infos = [replace(data.infos[i], file=file) for i, file in enumerate(files)]
    cut.failed = torch.tensor([False, True, False])
    found = score_episodes(small_model, SCALES, cut, candidates=2)
    assert found.score.tolist() == [max(apart.score[:2]), apart.score[2]]
    assert np.isfinite(found.candidate).sum(1).tolist() == [1 + 5, 3]
    assert found.failed.tolist() == [True, False]
    assert found.task.tolist() == [data.infos[0].task, data.infos[2].task]
    assert found.episode_s == pytest.approx((13 + 26 + 19) / 2 * 0.2)


def test_episodes_that_are_too_short_are_refused(small_model, write_held_out):
    with pytest.raises(ValueError, match=r"at least 14 frames.*0.npz \(13\)"):
        score_episodes(small_model, SCALES, write_held_out((13, 14)), 1)


def scores(candidate, image, executed, error, task, failed) -> EpisodeScores:
    image = np.array(image, float)
    return EpisodeScores(
        candidate=np.array(candidate, float),
        live=image,
        unfamiliarity=image / 2,
        executed=np.array(executed, float),
        error=np.array(error, float),
        task=np.array(task),
        behavior=np.array(["expert", "random", "slow"]),
        failed=np.array(failed),
        episode_s=36.0,
    )


def test_coverage_alarms_and_what_passed_although_wrong_are_counted():
    conditions = Conditions("a", "camera", 128, 128, 64, (1,), 8, 8, "s", "m")
    calibration = Calibration(
        conditions, 0.1, {"push": (1.0,) * 50, "reach": (2.0,) * 50}, 36.0, "d", SCALES
    )
    assert calibration.factor() == 2.0 and calibration.factor("push") == 1.0
    test = scores(
        candidate=[[0.5, 1.5], [0.5, 0.5], [2.5, 2.5]],
        image=[[0.1] * 4, [0.1] * 4, [2.5, 2.5, 0.1, 2.5]],
        executed=[[0.5, 0.5], [0.5, 2.5], [0.5, 2.5]],
        error=[[0.4, 0.6], [0.6, 0.6], [0.1, 0.6]],
        task=["push", "reach", "reach"],
        failed=[True, True, True],
    )
    report = realised(calibration, test)
    pooled, own = report["one_factor_for_all_tasks"], report["a_factor_for_each_task"]
    assert [pooled[g]["without_alarm"] for g in ("all", "push", "reach")] == [2, 1, 1]
    assert [own[g]["without_alarm"] for g in ("all", "push", "reach")] == [1, 0, 1]
    # Of 2 of 3, by the definition of Clopper and Pearson.
    assert pooled["all"]["from"] == pytest.approx(beta.ppf(0.025, 2, 2), abs=1e-4)
    assert pooled["all"]["to"] == pytest.approx(beta.ppf(0.975, 3, 1), abs=1e-4)
    # Two decisions, and images that went over twice, in three episodes of 36 s.
    assert pooled["all"]["alarms_per_episode"] == pytest.approx(4 / 3, abs=1e-4)
    assert pooled["all"]["alarms_per_hour"] == pytest.approx(4 / 0.03, abs=0.1)
    wrong = report["passed_although_wrong"]
    assert wrong["predictions"]["bad"] == 4 and wrong["predictions"]["passed"] == 2
    assert wrong["predictions"]["episodes_with_a_bad_one"] == 3
    assert wrong["predictions"]["episodes_in_which_one_passed"] == 2
    assert wrong["predictions"]["at_most"] == pytest.approx(beta.ppf(0.95, 3, 1), abs=1e-4)
    assert wrong["episodes"]["failed"] == 2 and wrong["episodes"]["passed"] == 1


def test_without_a_failure_there_is_no_share_that_passed():
    conditions = Conditions("a", "camera", 128, 128, 64, (1,), 8, 8, "s", "m")
    calibration = Calibration(conditions, 0.1, {"push": (1.0,) * 50}, 36.0, "d", SCALES)
    nothing = scores([[0.5]] * 3, [[0.5]] * 3, [[0.5]] * 3, [[0.1]] * 3, ["push"] * 3, [False] * 3)
    wrong = realised(calibration, nothing)["passed_although_wrong"]
    assert wrong["predictions"]["at_most"] is None and wrong["episodes"]["at_most"] is None
