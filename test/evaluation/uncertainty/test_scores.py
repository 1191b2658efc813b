"""Each way to tell uncertainty, against its definition."""

from types import SimpleNamespace

import pytest
import torch

from whale_ros.evaluation.uncertainty.scores import (
    MAIN,
    PAPER,
    Scores,
    carried,
    running_mean,
)
from whale_ros.imagination.retracing import DISAGREEMENT_WEIGHT, K, Retracing, judge
from whale_ros.imagination.rollout import imagine
from whale_ros.world_model.frames import to_float


def test_every_score_has_a_number_for_every_imagined_frame(scores, imagined):
    for name, score in scores.of(imagined).items():
        assert score.shape == imagined.rollout.entropy.shape, name
        assert score.isfinite().all() and (score >= 0).all(), name


def test_the_main_score_at_the_last_frame_is_what_the_planner_compares(scores, imagined):
    expected = judge(scores.model, imagined.rollout).uncertainty
    torch.testing.assert_close(scores.of(imagined)[MAIN][:, -1], expected)


def test_what_was_chosen_is_among_the_choices(scores, imagined):
    chosen = scores.choices(imagined)[f"{DISAGREEMENT_WEIGHT:g} features + mean entropy so far"]
    torch.testing.assert_close(chosen, scores.of(imagined)[MAIN])


def test_the_papers_score_is_disagreement_times_entropy(scores, imagined):
    told = scores.of(imagined)
    torch.testing.assert_close(told[PAPER], told["disagreement"] * told["entropy"])


def test_models_that_imagine_the_same_do_not_spread(small_model, held_out, imagined):
    alike = Scores(small_model, [small_model, small_model], held_out)
    assert alike.ensemble(imagined).abs().max() < 1e-6


@torch.inference_mode()
def test_the_ensembles_spread_is_that_of_models_asked_one_by_one(
    scores, imagined, small_model, member
):
    window, features = imagined.window, []
    for model in (small_model, member):
        codes = small_model.encode(window.past_frames)
        z = model.behavior.infer(codes, model.normalised(window.past_actions))[:, -1]
        state = model.start(codes, window.past_actions, z)
        features.append(imagine(model, state, window.actions, window.past_actions).features)
    half = (features[0] - features[1]) / 2
    expected = (2 * half.square()).mean((-2, -1)).sqrt()  # sample variance of two
    torch.testing.assert_close(scores.ensemble(imagined), expected)


def test_an_ensemble_of_different_tokenizers_is_refused(small_model, random_model, held_out):
    with pytest.raises(ValueError, match="share a tokenizer"):
        Scores(small_model, [random_model(seed=1)], held_out)


def test_a_training_frame_is_at_no_distance_from_the_training_data(scores, held_out):
    model = scores.model
    frame = to_float(held_out.frames[1][:2])
    seen = model.features(model.encode(frame)).unsqueeze(0)
    at_home = SimpleNamespace(rollout=SimpleNamespace(features=seen))
    away = SimpleNamespace(rollout=SimpleNamespace(features=seen + 0.5))
    assert scores.distance_to_data(at_home).max() < 1e-3
    assert scores.distance_to_data(away).min() > 0.01


def test_a_random_k_is_one_of_those_that_took_part(scores):
    disagreements = torch.rand(50, 3, len(K), generator=torch.Generator().manual_seed(0))
    took_part = disagreements > 0.3
    took_part[..., 0] = True
    retracing = Retracing(disagreements.where(took_part, torch.nan), torch.zeros(50, 3), took_part)
    one = scores.random_k(retracing).unsqueeze(-1) / DISAGREEMENT_WEIGHT
    assert ((one == disagreements) & took_part).any(-1).all()
    assert (scores.random_k(retracing) != one.squeeze(-1)).any()


def test_a_frame_that_was_not_judged_takes_the_judgement_of_the_one_before():
    nan = torch.nan
    disagreements = torch.tensor([[[nan], [0.1], [nan], [nan], [0.2], [nan]], [[nan]] * 6])
    took_part = ~disagreements.isnan()
    told = carried(Retracing(disagreements, torch.zeros(2, 6), took_part))
    assert told[0].tolist() == pytest.approx([0.1, 0.1, 0.1, 0.1, 0.2, 0.2])
    assert told[1].isnan().all()


def test_running_mean_is_the_mean_so_far():
    values = torch.rand(2, 5)
    for t in range(5):
        torch.testing.assert_close(running_mean(values)[:, t], values[:, : t + 1].mean(1))
